"""Vocabulary files, read whole and never more of them than there should be."""

from __future__ import annotations

from pathlib import Path

from myna.errors import ModelFileError


def read_bytes(path: Path, maximum: int) -> bytes:
    """A file's content. Raises ModelFileError: it cannot be read, or is longer than ``maximum`` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(maximum + 1)
    except OSError as error:
        raise ModelFileError(path, f"it cannot be read ({error.strerror})") from error
    if len(content) > maximum:
        raise ModelFileError(path, f"it is longer than {maximum} bytes")
    return content


def read_text(path: Path, maximum: int) -> str:
    """A file's text. Raises ModelFileError as `read_bytes`, and for what is not UTF-8."""
    try:
        return read_bytes(path, maximum).decode()
    except UnicodeDecodeError:
        raise ModelFileError(path, "it is not UTF-8 text") from None
