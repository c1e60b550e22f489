"""Which tokenizer a model file has."""

from __future__ import annotations

from pathlib import Path

from myna.formats import ModelFile
from myna.models.tokenizer.directory import load_directory_tokenizer
from myna.models.tokenizer.gguf import load_gguf_tokenizer
from myna.models.tokenizer.settings import MAX_TEMPLATE, read_chat_template
from myna.models.tokenizer.tokenizer import Tokenizer


def load_tokenizer(file: ModelFile) -> Tokenizer:
    """Build the tokenizer that a model file describes, or that lies beside its weights.

    Raises:
        ModelFileError: there is none, or none that is supported, and why.
    """
    return load_gguf_tokenizer(file) if file.kind == "gguf" else load_directory_tokenizer(Path(file.path))


def chat_template(file: ModelFile) -> str:
    """The model's own chat template, or nothing. Raises ModelFileError: it is too long, or its file is broken."""
    if file.kind == "gguf":
        return file.metadata.string("tokenizer.chat_template", "", maximum=MAX_TEMPLATE)
    return read_chat_template(Path(file.path))
