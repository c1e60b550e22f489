"""A path -> the reader of what lies there, chosen by content and never by a name alone."""

from __future__ import annotations

from pathlib import Path

from myna.formats.base import ModelFile
from myna.formats.gguf import GGUFFile


def open_model(path: str | Path) -> ModelFile:
    """Open a model. Raises ModelFileError: missing, truncated, corrupt, hostile or of another kind."""
    return GGUFFile(path)
