"""A path -> the reader of what lies there, chosen by content."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats.base import ModelFile
from myna.formats.delta import DeltaModel
from myna.formats.gguf import MAGIC
from myna.formats.gguf_split import NAME, open_gguf
from myna.formats.huggingface import CONFIG, HuggingFaceDirectory, listing
from myna.formats.meta import PARAMS, MetaDirectory
from myna.formats.tensorflow import HPARAMS, GPT2Checkpoint

ADAPTER = "adapter_config.json"

READERS: dict[str, Callable[[Path], ModelFile]] = {
    CONFIG: HuggingFaceDirectory,
    PARAMS: MetaDirectory,
    HPARAMS: GPT2Checkpoint,
}
"""Readers of directories by the file that tells their kind, tried in this order."""

BESIDE = (".safetensors", ".bin", ".pth", ".json", ".index")
"""Files by which a checkpoint's directory may be named."""


def open_model(path: str | Path) -> ModelFile:
    """Open a model.

    ``path`` is a GGUF file (any of its parts), a directory of a checkpoint, the weights or configuration in it, or
    ``base+delta``: two directories whose weights are added.

    Raises:
        ModelFileError: missing, truncated, corrupt, hostile, or of a kind that is no model, with what it is instead.
    """
    path = Path(path)
    if (pair := split_delta(path)) is not None:
        with ExitStack() as opened:
            base = opened.enter_context(closing(open_model(pair[0])))
            delta = opened.enter_context(closing(open_model(pair[1])))
            model = DeltaModel(base, delta)
            opened.pop_all()
        return model
    if path.is_dir():
        return open_directory(path)
    if path.suffix in BESIDE and not _begins(path, MAGIC):
        if any((path.parent / name).is_file() for name in READERS):
            return open_directory(path.parent)
        if path.is_file():
            raise ModelFileError(path, f"there is no {CONFIG} beside it, which says what its tensors are")
    return open_gguf(path)


def open_directory(path: Path) -> ModelFile:
    """Open a checkpoint's directory. Raises ModelFileError saying what is there instead."""
    for name, reader in READERS.items():
        if (path / name).is_file():
            return reader(path)
    if (path / ADAPTER).is_file():
        raise ModelFileError(path, f"it is an adapter, which changes a model and is none; its model is {_base(path)}")
    files = sorted(path.glob("*.gguf"))
    sets = {(match["stem"], match["count"]) if (match := NAME.fullmatch(file.name)) else file.name for file in files}
    if len(sets) == 1:
        return open_gguf(files[0])
    if files:
        raise ModelFileError(path, f"it holds several GGUF files; name one: {listing(path, '*.gguf')}")
    raise ModelFileError(path, f"it has no {CONFIG}; it holds {listing(path)}")


def split_delta(path: Path) -> tuple[Path, Path] | None:
    """The two paths of ``base+delta``, where that itself is no path and both are there."""
    if _exists(path):
        return None
    text = str(path)
    pairs = ((Path(text[:at]), Path(text[at + 1 :])) for at, letter in enumerate(text) if letter == "+")
    return next((pair for pair in pairs if all(map(_exists, pair))), None)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long, or not allowed to look
        return False


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _base(path: Path) -> str:
    try:
        stated = json.loads((path / ADAPTER).read_bytes()[: 2**20])["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return "not told"
    return repr(stated)[:200]
