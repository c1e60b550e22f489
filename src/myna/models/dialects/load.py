"""Which dialect a model asks for. Apart from the package itself, so that the template worker starts lightly."""

from __future__ import annotations

from pathlib import Path

from myna.errors import InvalidParameter
from myna.formats import ModelFile
from myna.models.dialects import Dialect
from myna.models.dialects.formats import FORMATS, dialect_names
from myna.models.dialects.named import NamedDialect
from myna.models.dialects.template import TemplateDialect
from myna.models.tokenizer import Tokenizer, chat_template


def load_dialect(file: ModelFile, tokenizer: Tokenizer, name: str | None = None) -> Dialect:
    """The dialect of a model: the named one, else its own chat template, else plain.

    Raises:
        InvalidParameter: there is no dialect of that name.
        ModelFileError: the model's template cannot be read.
    """
    if name is not None:
        return named_dialect(name, tokenizer)
    if template := chat_template(file):
        return TemplateDialect(Path(file.path), template, tokenizer)
    return named_dialect("plain", tokenizer)


def named_dialect(name: str, tokenizer: Tokenizer) -> Dialect:
    """One of `FORMATS` for a model's tokenizer. Raises InvalidParameter for a name that is none of them."""
    if name not in FORMATS:
        raise InvalidParameter(
            f"There is no dialect {name!r:.60}; there are {', '.join(dialect_names())}.", param="dialect"
        )
    return NamedDialect(FORMATS[name], tokenizer)
