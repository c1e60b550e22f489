"""How an encoder's vectors become one a text, as sentence-transformers' directories and GGUF files say it.

A directory of sentence-transformers is a Hugging Face directory and ``modules.json``, the list of what comes one
after the other: the transformer, a pooling with a configuration of its own, and perhaps a normalisation.
https://sbert.net/docs/sentence_transformer/usage/custom_models.html
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from myna.errors import ModelFileError
from myna.formats.jsonfile import read_object
from myna.models.config import Pooling

GGUF_POOLING: dict[int, Pooling] = {0: "mean", 1: "mean", 2: "first", 3: "last"}
"""``pooling_type``; a file that leaves it open (0) was made for no other use here."""

MODES: dict[str, Pooling] = {"mean": "mean", "cls": "first", "lasttoken": "last"}

MAX_BYTES = 2**16

_FLAGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "lasttoken"}


def read_pooling(directory: Path) -> tuple[Pooling, bool]:
    """The pooling of a directory's model, and whether its vectors are brought to length 1.

    A directory that does not say gets the mean and length 1, which is what most such models were trained with.
    Raises ModelFileError: a file is malformed, or says something that is not supported.
    """
    path = directory / "modules.json"
    if not path.is_file():
        return "mean", True
    pooling: Pooling = "mean"
    kinds = []
    for module in _modules(path):
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Pooling":
            pooling = _pooling(_inside(path, str(module.get("path", ""))) / "config.json")
        elif kind not in ("Transformer", "Normalize"):
            raise ModelFileError(path, f"its module {kind[:60]!r} is not supported")
        kinds.append(kind)
    return pooling, "Normalize" in kinds


def _modules(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            modules = json.loads(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise ModelFileError(path, f"it cannot be opened ({error.strerror})") from error
    except (ValueError, RecursionError):
        modules = None
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelFileError(path, "it does not hold a list of modules")
    return modules


def _inside(path: Path, folder: str) -> Path:
    """A folder beside ``path``, never one elsewhere."""
    if not folder or Path(folder).name != folder:
        raise ModelFileError(path, f"its module lies in {folder[:60]!r}, expected the name of a folder")
    return path.parent / folder


def _pooling(path: Path) -> Pooling:
    values = read_object(path, MAX_BYTES)
    stated = values.get("pooling_mode")
    modes = [stated] if isinstance(stated, str) else _flagged(values)
    if len(modes) != 1 or modes[0] not in MODES:
        raise ModelFileError(
            path, f"pooling by {' and '.join(modes)[:60] or 'nothing'} is not supported; supported: {', '.join(MODES)}"
        )
    return MODES[modes[0]]


def _flagged(values: dict[str, Any]) -> list[str]:
    return [_FLAGS.get(key, key) for key, on in values.items() if key.startswith("pooling_mode_") and on is True]
