"""Whether what is about to be written says what the model is: it is configured from as if it were read already."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import fields
from math import isclose
from pathlib import Path
from typing import Any

from myna.errors import ModelFileError
from myna.formats import Kind, Metadata, ModelFile, Tensor
from myna.formats.written import Written
from myna.models.config import AnyConfig


class Planned:
    """The model that is to be written, as far as a family's ``configure`` looks at it."""

    directories: tuple[Path, ...] = ()

    def __init__(self, path: Path, kind: Kind, metadata: Metadata, tensors: list[Written]) -> None:
        self.path = path
        self.kind: Kind = kind
        self.metadata = metadata
        self.tensors = {
            written.name: Tensor(written.name, written.type, written.shape, 0, written.bytes) for written in tensors
        }
        self._written = {written.name: written for written in tensors}

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the bytes that are to be written."""
        return self._written[tensor.name].lend()

    def close(self) -> None:
        """Nothing is open."""


def check_same(file: ModelFile, config: AnyConfig, told: AnyConfig) -> None:
    """Raise ModelFileError naming what a file would say otherwise than the model's own configuration."""
    for field in fields(config):
        if field.name == "architecture":
            continue
        ours, theirs = getattr(config, field.name), getattr(told, field.name, None)
        if not _alike(ours, theirs):
            raise ModelFileError(
                file.path, f"such files of its architecture cannot say that {field.name} is {ours!s:.120}"
            )


def _alike(ours: Any, theirs: Any) -> bool:
    """Equal but for the layout of rotary pairs, which rows can follow, and for what float32 rounds."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return isclose(ours, theirs, rel_tol=1e-5)
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return len(ours) == len(theirs) and all(map(_alike, ours, theirs))
    if hasattr(ours, "__dataclass_fields__") and type(ours) is type(theirs):
        names = [field.name for field in fields(ours) if field.name != "layout"]
        return all(_alike(getattr(ours, name), getattr(theirs, name)) for name in names)
    return bool(ours == theirs)
