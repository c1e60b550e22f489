"""A bounded reader of safetensors files (https://github.com/huggingface/safetensors#format).

A file is the length of its header, the header as JSON, then the tensors' bytes. As in `myna.formats.gguf`, every
number that the header states is checked against the file's real size before anything is allocated or touched.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from myna.errors import ModelFileError
from myna.formats.base import Tensor
from myna.formats.jsonfile import parse_object
from myna.formats.mapped import lend, map_file
from myna.formats.types import BLOCK_TYPES

MAX_HEADER_BYTES = 2**25
MAX_TENSORS = 2**17
MAX_NAME = 1024
MAX_DIMENSIONS = 8

DTYPES = frozenset(
    ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "C64", "F64", "F32", "F16", "BF16", "F8_E4M3",
     "F8_E5M2", "F8_E8M0")
)  # fmt: skip
"""Element types; their names are those of `BLOCK_TYPES`."""

_LENGTH = struct.Struct("<Q")


class SafetensorsFile:
    """An open safetensors file: its tensors, all checked, none of them loaded.

    Raises:
        ModelFileError: the file is missing, truncated, corrupt, hostile or of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = map_file(path)
        try:
            header, start = _header(path, self._map)
            self.tensors = _tensors(path, header, start, len(self._map))
        except BaseException:
            self._map.close()
            raise

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the tensor's bytes; afterwards its pages are given back."""
        return lend(self._map, tensor.offset, tensor.bytes)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()


def _header(path: Path, data: mmap.mmap) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors' bytes begin."""
    if len(data) < _LENGTH.size:
        raise ModelFileError(path, "it is too short for a safetensors file")
    (length,) = _LENGTH.unpack_from(data)
    if length > MAX_HEADER_BYTES:
        raise ModelFileError(
            path, f"it is not a safetensors file, or its header is longer than {MAX_HEADER_BYTES} bytes"
        )
    start = _LENGTH.size + length
    if start > len(data):
        raise ModelFileError(path, f"it is truncated: its header ends at byte {start}, the file has {len(data)}")
    header = parse_object(path, data[_LENGTH.size : start])
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise ModelFileError(path, f"it has {len(header)} tensors, more than {MAX_TENSORS}")
    return header, start


def _tensors(path: Path, header: dict[str, Any], start: int, end: int) -> dict[str, Tensor]:
    tensors = [_tensor(path, name, described, start) for name, described in header.items()]
    position = start
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.bytes)):
        if tensor.offset != position:
            raise ModelFileError(
                path, f"tensor {tensor.name!r} begins at byte {tensor.offset} where {position} is expected"
            )
        position += tensor.bytes
    if position != end:
        cut = "it is truncated: " if position > end else ""
        raise ModelFileError(path, f"{cut}its tensors end at byte {position}, the file has {end}")
    return {tensor.name: tensor for tensor in tensors}


def _tensor(path: Path, name: str, described: Any, start: int) -> Tensor:
    if len(name) > MAX_NAME:
        raise ModelFileError(
            path, f"the name of tensor {name[:60]!r}… has {len(name)} characters, more than {MAX_NAME}"
        )
    if not isinstance(described, dict) or described.keys() != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(path, f"tensor {name!r} is not described by dtype, shape and data_offsets")
    dtype = described["dtype"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelFileError(path, f"tensor {name!r} has the unknown type {str(dtype)[:40]!r}")
    shape = _whole_numbers(described["shape"], MAX_DIMENSIONS)
    offsets = _whole_numbers(described["data_offsets"], 2)
    if shape is None or offsets is None or len(offsets) != 2:
        raise ModelFileError(path, f"tensor {name!r} has an impossible shape or impossible offsets")
    size = BLOCK_TYPES[dtype].bytes
    for dimension in shape:
        size *= dimension
    if offsets[1] - offsets[0] != size:
        raise ModelFileError(
            path, f"tensor {name!r}, {dtype} of shape {list(shape)}, takes {size} bytes, not {offsets[1] - offsets[0]}"
        )
    return Tensor(name, dtype, shape, start + offsets[0], size)


def _whole_numbers(values: Any, limit: int) -> tuple[int, ...] | None:
    """A list of at most ``limit`` numbers from 0 to 2^62, else None."""
    if not isinstance(values, list) or len(values) > limit:
        return None
    if not all(type(value) is int and 0 <= value <= 2**62 for value in values):
        return None
    return tuple(values)
