"""Which dialect a model file asks for. Apart from the package itself, so that the template worker starts lightly."""

from __future__ import annotations

from myna.formats import ModelFile
from myna.models.dialects import Dialect
from myna.models.dialects.plain import PlainDialect
from myna.models.dialects.template import TemplateDialect
from myna.models.tokenizer import MAX_TEMPLATE, Tokenizer


def load_dialect(file: ModelFile, tokenizer: Tokenizer) -> Dialect:
    """The dialect of a model file: its own chat template where it has one."""
    if template := file.metadata.string("tokenizer.chat_template", "", maximum=MAX_TEMPLATE):
        return TemplateDialect(file.path, template, tokenizer)
    return PlainDialect(tokenizer)
