"""A path -> the reader of what lies there, chosen by content."""

from __future__ import annotations

import json
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats.base import ModelFile
from myna.formats.gguf import MAGIC
from myna.formats.gguf_split import NAME, open_gguf
from myna.formats.huggingface import CONFIG, HuggingFaceDirectory, listing

BESIDE = (".safetensors", ".bin", ".json")
"""Files by which a checkpoint's directory may be named."""


def open_model(path: str | Path) -> ModelFile:
    """Open a model.

    ``path`` is a GGUF file (any of its parts), a directory of a checkpoint, or the weights or config.json in it.

    Raises:
        ModelFileError: missing, truncated, corrupt, hostile, or of a kind that is no model, with what it is instead.
    """
    path = Path(path)
    if path.is_dir():
        return open_directory(path)
    if path.suffix in BESIDE and not _begins(path, MAGIC) and (path.parent / CONFIG).is_file():
        return open_directory(path.parent)
    if path.suffix == ".safetensors" and path.is_file():
        raise ModelFileError(path, f"there is no {CONFIG} beside it, which says what its tensors are")
    return open_gguf(path)


def open_directory(path: Path) -> ModelFile:
    """Open a checkpoint's directory. Raises ModelFileError saying what is there instead."""
    if (path / CONFIG).is_file():
        return HuggingFaceDirectory(path)
    if (path / "adapter_config.json").is_file():
        raise ModelFileError(path, f"it is an adapter, which changes a model and is none; its model is {_base(path)}")
    files = sorted(path.glob("*.gguf"))
    sets = {(match["stem"], match["count"]) if (match := NAME.fullmatch(file.name)) else file.name for file in files}
    if len(sets) == 1:
        return open_gguf(files[0])
    if files:
        raise ModelFileError(path, f"it holds several GGUF files; name one: {listing(path, '*.gguf')}")
    raise ModelFileError(path, f"it has no {CONFIG}; it holds {listing(path)}")


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _base(path: Path) -> str:
    try:
        stated = json.loads((path / "adapter_config.json").read_bytes()[: 2**20])["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return "not told"
    return repr(stated)[:200]
