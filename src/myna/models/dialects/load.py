"""Which dialect a model asks for. Apart from the package itself, so that the template worker starts lightly."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from myna.errors import InvalidParameter
from myna.formats import ModelFile
from myna.hub.entries import checkpoint_entry
from myna.models.dialects import Dialect
from myna.models.dialects.formats import FORMATS, dialect_names
from myna.models.dialects.named import NamedDialect
from myna.models.dialects.template import TemplateDialect
from myna.models.tokenizer import Tokenizer, chat_template

NAMES = ("_name_or_path", "general.source.huggingface.repository", "general.name")
"""Keys in which model files say what weights they hold."""


def load_dialect(file: ModelFile, tokenizer: Tokenizer) -> Dialect:
    """The dialect of a model: its own chat template, else its authors' if the catalog knows it.

    What has neither is a base model, and gets a plain transcript. Raises ModelFileError: the template cannot be read.
    """
    if template := chat_template(file):
        return TemplateDialect(Path(file.path), template, tokenizer)
    return named_dialect(authors_dialect(file) or "plain", tokenizer)


def authors_dialect(file: ModelFile) -> str | None:
    """What the catalog says of published weights, by any of the names that a file goes by."""
    metadata = file.metadata
    names = [unquote(part) for part in Path(file.path).parts if part.startswith("hf%3A")]
    names += [metadata.string(key, "", maximum=1000) for key in NAMES if isinstance(metadata.get(key), str)]
    for name in names:
        # Those who convert files often write owner_model.
        for spelling in (name, name.replace("_", "/", 1)):
            if (entry := checkpoint_entry(spelling)) is not None and "dialect" in entry:
                return str(entry["dialect"])
    return None


def named_dialect(name: str, tokenizer: Tokenizer) -> Dialect:
    """One of `FORMATS` for a model's tokenizer. Raises InvalidParameter for a name that is none of them."""
    if name not in FORMATS:
        raise InvalidParameter(
            f"There is no dialect {name!r:.60}; there are {', '.join(dialect_names())}.", param="dialect"
        )
    return NamedDialect(FORMATS[name], tokenizer)
