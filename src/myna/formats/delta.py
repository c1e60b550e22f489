"""A model that was published as its difference to another: Alpaca's and Vicuna's first weights, against LLaMA's."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np

from myna.errors import ModelFileError
from myna.formats.base import Kind, Metadata, ModelFile, Tensor
from myna.formats.floats import as_bytes, to_bfloat16, to_float32
from myna.formats.types import BLOCK_TYPES

SUMMED = ("F32", "F16", "BF16")

BUFFERS = "*.rotary_emb.inv_freq"
"""What old checkpoints keep beside their weights, and follows from the configuration."""

CHUNK = 2**22
"""Weights that are added at a time."""


class DeltaModel:
    """Base plus delta, tensor by tensor, as float32 rounded to their type; all else is the delta's.

    Rows that only the delta has are its own: they belong to tokens that the base does not know. Closing it closes both.

    Raises:
        ModelFileError: the two do not belong together.
    """

    kind: Kind = "huggingface"

    def __init__(self, base: ModelFile, delta: ModelFile) -> None:
        for file in (base, delta):
            if file.kind != "huggingface":
                raise ModelFileError(file.path, "a delta and its base are checkpoint directories, not GGUF files")
        self.path = delta.path
        self.directories = (*delta.directories, *base.directories)
        self.metadata: Metadata = delta.metadata
        self._base, self._delta = base, delta
        skipped = fnmatch.filter(base.tensors.keys() - delta.tensors.keys(), BUFFERS)
        if missing := base.tensors.keys() - delta.tensors.keys() - set(skipped):
            raise ModelFileError(delta.path, f"it lacks tensor {min(missing)!r}, so it is no delta to {base.path}")
        self.tensors = {name: self._described(tensor) for name, tensor in delta.tensors.items()}

    def _described(self, delta: Tensor) -> Tensor:
        base = self._base.tensors.get(delta.name)
        if base is None:
            return delta
        if base.shape[1:] != delta.shape[1:] or base.shape[:1] > delta.shape[:1] or len(base.shape) != len(delta.shape):
            raise ModelFileError(
                self.path,
                f"tensor {delta.name!r} has the shape {list(delta.shape)}, its base {list(base.shape)}",
            )
        for tensor in (base, delta):
            if tensor.type not in SUMMED:
                raise ModelFileError(self.path, f"tensor {tensor.name!r} is {tensor.type}, which cannot be added")
        kind = delta.type if base.type == delta.type else "F32"
        size = prod(delta.shape) * BLOCK_TYPES[kind].bytes
        return Tensor(delta.name, kind, delta.shape, delta.offset, size, delta.part)

    @contextmanager
    def read(self, tensor: Tensor) -> Iterator[memoryview]:
        """Lend the sum's bytes."""
        base, delta = self._base.tensors.get(tensor.name), self._delta.tensors[tensor.name]
        with self._delta.read(delta) as change:
            if base is None:
                yield change
                return
            whole = np.empty(tensor.bytes, np.uint8)
            size, shared = BLOCK_TYPES[tensor.type].bytes, prod(base.shape)
            with self._base.read(base) as start:
                for first in range(0, prod(delta.shape), CHUNK):
                    added = to_float32(_piece(change, delta, first), delta.type)
                    if first < shared:
                        known = to_float32(_piece(start, base, first), base.type)
                        added[: len(known)] += known
                    whole[first * size : (first + len(added)) * size] = np.frombuffer(
                        _as_type(added, tensor.type), "u1"
                    )
        yield as_bytes(whole)

    def close(self) -> None:
        """Close both."""
        self._base.close()
        self._delta.close()


def _piece(data: memoryview, tensor: Tensor, first: int) -> memoryview:
    size = BLOCK_TYPES[tensor.type].bytes
    return data[first * size : (first + CHUNK) * size]


def _as_type(values: np.ndarray[tuple[int], np.dtype[np.float32]], type_: str) -> memoryview:
    if type_ == "BF16":
        return as_bytes(to_bfloat16(values))
    return as_bytes(values if type_ == "F32" else values.astype("<f2"))
