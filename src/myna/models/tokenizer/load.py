"""Which tokenizer a model file has."""

from __future__ import annotations

from myna.formats import ModelFile
from myna.models.tokenizer.gguf import load_gguf_tokenizer
from myna.models.tokenizer.tokenizer import Tokenizer


def load_tokenizer(file: ModelFile) -> Tokenizer:
    """Build the tokenizer that a model file describes.

    Raises:
        ModelFileError: the file does not describe one that is supported, and why.
    """
    return load_gguf_tokenizer(file)
