"""A bounded reader of GGUF versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).

Model files come from strangers. Every count, length and offset is checked against the file's real size and the limits
below before anything is allocated or touched, so a hostile header costs bounded time and memory and ends in one
`ModelFileError`. Nothing is decoded before it is needed: a vocabulary of 49,152 strings is walked once, not built.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats.base import Array, Kind, Metadata, Scalar, Tensor
from myna.formats.mapped import lend, map_file
from myna.formats.types import TENSOR_TYPES, BlockType

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32

MAX_KEYS = 65_536
MAX_KEY_BYTES = 65_535
MAX_TENSORS = 65_536
MAX_TENSOR_NAME_BYTES = 256
MAX_DIMENSIONS = 4
MAX_ARRAY_ELEMENTS = 2**22
MAX_STRING_BYTES = 2**26
MAX_METADATA_BYTES = 2**27
MAX_ALIGNMENT = 2**16
MAX_ELEMENTS = 2**62

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_STRING, _ARRAY, _BOOL = 8, 9, 7
_FLOATS = (6, 12)
_NUMBERS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    _BOOL: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}


class GGUFFile:
    """An open GGUF file: its metadata and tensors, all checked, none of them loaded.

    Raises:
        ModelFileError: the file is missing, truncated, corrupt, hostile or of another kind.
    """

    kind: Kind = "gguf"
    directories: tuple[Path, ...] = ()

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._map = map_file(self.path)
        try:
            cursor = _Cursor(self.path, self._map)
            self.version, tensor_count, key_count = _header(cursor)
            self.metadata = Metadata(self.path, _metadata(cursor, key_count))
            self.tensors = _tensors(cursor, tensor_count, _alignment(self.path, self.metadata))
        except BaseException:
            self._map.close()
            raise

    def __enter__(self) -> GGUFFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the file. Metadata arrays cannot be decoded afterwards."""
        self._map.close()

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the tensor's bytes; afterwards its pages are given back, so that they are not resident twice."""
        return lend(self._map, tensor.offset, tensor.bytes)


class _Cursor:
    """Reads forward through the header; everything it returns has been checked against the file's size."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.end = len(data)
        self.position = 0

    def fail(self, reason: str) -> ModelFileError:
        return ModelFileError(self.path, reason if len(reason) <= 400 else f"{reason[:400]}…")

    def skip(self, size: int, what: str) -> int:
        """Move past ``size`` bytes and return where they begin."""
        start = self.position
        if size > self.end - start:
            raise self.fail(f"it is truncated: {what} needs {size} bytes at offset {start}, the file has {self.end}")
        if start + size > MAX_METADATA_BYTES:
            raise self.fail(f"its header is longer than {MAX_METADATA_BYTES} bytes")
        self.position = start + size
        return start

    def number(self, layout: struct.Struct, what: str) -> int | float | bool:
        start = self.skip(layout.size, what)
        value: int | float | bool = layout.unpack_from(self.data, start)[0]
        return value

    def count(self, layout: struct.Struct, limit: int, what: str) -> int:
        value = int(self.number(layout, what))
        if value > limit:
            raise self.fail(f"{what} is {value}, more than {limit}")
        return value

    def string(self, limit: int, what: str) -> str:
        length = self.count(_U64, limit, f"the length of {what}")
        start = self.skip(length, what)
        try:
            return self.data[start : start + length].decode()
        except UnicodeDecodeError:
            raise self.fail(f"{what} is not UTF-8") from None


class _Numbers:
    """A numeric array inside the mapped file."""

    def __init__(self, data: mmap.mmap, start: int, count: int, layout: struct.Struct, element: type[Scalar]) -> None:
        self._data = data
        self._start = start
        self._layout = layout
        self.count = count
        self.element = element

    def values(self) -> Sequence[Scalar]:
        return struct.unpack(f"<{self.count}{self._layout.format[-1]}", self.raw())

    def raw(self) -> bytes:
        return self._data[self._start : self._start + self.count * self._layout.size]


class _Strings:
    """An array of length-prefixed strings inside the mapped file."""

    def __init__(self, cursor: _Cursor, start: int, end: int, count: int, what: str) -> None:
        self._path = cursor.path
        self._data = cursor.data
        self._start = start
        self._end = end
        self._what = what
        self.count = count
        self.element: type[Scalar] = str

    def values(self) -> Sequence[str]:
        data, position, length_at = self._data, self._start, _U64.unpack_from
        found = []
        try:
            for _ in range(self.count):
                end = position + 8 + length_at(data, position)[0]
                found.append(data[position + 8 : end].decode())
                position = end
        except UnicodeDecodeError:
            raise ModelFileError(self._path, f"{self._what}[{len(found)}] is not UTF-8") from None
        return found

    def raw(self) -> bytes:
        return self._data[self._start : self._end]


def _header(cursor: _Cursor) -> tuple[int, int, int]:
    if cursor.end < 4 or cursor.data[:4] != MAGIC:
        raise cursor.fail("it is not a GGUF file (it does not begin with GGUF)")
    cursor.skip(4, "the magic")
    version = int(cursor.number(_U32, "the version"))
    if version not in VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        kind = "big-endian GGUF" if swapped in VERSIONS else f"GGUF version {version}"
        raise cursor.fail(f"it is {kind}; versions 2 and 3, little-endian, are supported")
    tensor_count = cursor.count(_U64, MAX_TENSORS, "the number of tensors")
    key_count = cursor.count(_U64, MAX_KEYS, "the number of metadata keys")
    return version, tensor_count, key_count


def _metadata(cursor: _Cursor, count: int) -> dict[str, Scalar | Array]:
    values: dict[str, Scalar | Array] = {}
    for index in range(count):
        key = cursor.string(MAX_KEY_BYTES, f"metadata key {index}")
        if key in values:
            raise cursor.fail(f"metadata key {key!r} appears twice")
        type_id = int(cursor.number(_U32, f"the type of {key}"))
        if type_id == _STRING:
            values[key] = cursor.string(MAX_STRING_BYTES, key)
        elif type_id == _ARRAY:
            values[key] = _array(cursor, key)
        elif type_id in _NUMBERS:
            values[key] = cursor.number(_NUMBERS[type_id], key)
        else:
            raise cursor.fail(f"{key} has the unknown metadata type {type_id}")
    return values


def _array(cursor: _Cursor, what: str) -> Array:
    type_id = int(cursor.number(_U32, f"the element type of {what}"))
    count = cursor.count(_U64, MAX_ARRAY_ELEMENTS, f"the length of {what}")
    start = cursor.position
    if type_id in _NUMBERS:
        layout = _NUMBERS[type_id]
        element: type[Scalar] = bool if type_id == _BOOL else float if type_id in _FLOATS else int
        return _Numbers(cursor.data, cursor.skip(count * layout.size, what), count, layout, element)
    if type_id == _STRING:
        _skip_strings(cursor, count, what)
        return _Strings(cursor, start, cursor.position, count, what)
    if type_id == _ARRAY:
        raise cursor.fail(f"{what} is a list of lists, which no known model needs")
    raise cursor.fail(f"{what} has the unknown element type {type_id}")


def _skip_strings(cursor: _Cursor, count: int, what: str) -> None:
    # The one hot loop of the reader: a vocabulary and its merges are 100,000 strings and more.
    data, position, length_at = cursor.data, cursor.position, _U64.unpack_from
    limit = min(cursor.end, MAX_METADATA_BYTES)
    last_length = limit - 8
    for _ in range(count):
        if position > last_length:
            break
        position += 8 + length_at(data, position)[0]
    else:
        if position <= limit:
            cursor.position = position
            return
    raise cursor.fail(f"it is truncated: the {count} strings of {what} do not end within {limit} bytes")


def _alignment(path: Path, metadata: Metadata) -> int:
    alignment = metadata.integer("general.alignment", DEFAULT_ALIGNMENT, maximum=2**32)
    if not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise ModelFileError(
            path, f"general.alignment is {alignment}, expected a power of two from 8 to {MAX_ALIGNMENT}"
        )
    return alignment


def _tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, Tensor]:
    described = [_tensor(cursor, index, alignment) for index in range(count)]
    data_start = -(-cursor.position // alignment) * alignment
    tensors: dict[str, Tensor] = {}
    for name, block_type, shape, offset in described:
        if name in tensors:
            raise cursor.fail(f"tensor {name!r} appears twice")
        elements = 1
        for dimension in shape:
            elements *= dimension
        size = elements // block_type.elements * block_type.bytes
        start = data_start + offset
        if start + size > cursor.end:
            raise cursor.fail(
                f"it is truncated: tensor {name!r} ends at byte {start + size}, the file has {cursor.end}"
            )
        tensors[name] = Tensor(name, block_type.name, shape, start, size)
    by_offset = sorted(tensors.values(), key=lambda tensor: tensor.offset)
    for before, after in pairwise(by_offset):
        if before.offset + before.bytes > after.offset:
            raise cursor.fail(f"tensors {before.name!r} and {after.name!r} overlap")
    return tensors


def _tensor(cursor: _Cursor, index: int, alignment: int) -> tuple[str, BlockType, tuple[int, ...], int]:
    name = cursor.string(MAX_TENSOR_NAME_BYTES, f"the name of tensor {index}")
    dimensions = cursor.count(_U32, MAX_DIMENSIONS, f"the number of dimensions of tensor {name!r}")
    # GGUF writes the fastest dimension first; shapes here are row-major.
    shape = tuple(int(cursor.number(_U64, f"the shape of tensor {name!r}")) for _ in range(dimensions))[::-1]
    elements = 1
    for dimension in shape:
        elements *= dimension
        if not 1 <= elements <= MAX_ELEMENTS:
            raise cursor.fail(f"tensor {name!r} has the impossible shape {list(shape)}")
    if not shape:
        raise cursor.fail(f"tensor {name!r} has no dimensions")
    type_id = int(cursor.number(_U32, f"the type of tensor {name!r}"))
    block_type = TENSOR_TYPES.get(type_id)
    if block_type is None:
        raise cursor.fail(f"tensor {name!r} has the unknown quantisation type {type_id}")
    if shape[-1] % block_type.elements:
        raise cursor.fail(
            f"tensor {name!r} has rows of {shape[-1]} elements, "
            f"which {block_type.name} blocks of {block_type.elements} do not divide"
        )
    offset = int(cursor.number(_U64, f"the offset of tensor {name!r}"))
    if offset % alignment:
        raise cursor.fail(f"tensor {name!r} begins at offset {offset}, which is not aligned to {alignment}")
    return name, block_type, shape, offset
