"""Writes GGUF version 3, tensor by tensor, so that no model need be in memory whole."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, cast

from myna.formats.gguf import DEFAULT_ALIGNMENT, MAGIC
from myna.formats.types import TENSOR_TYPES
from myna.formats.written import Written

Value = bool | int | float | str | bytes | Sequence[str] | Sequence[int] | Sequence[float]
"""Whole numbers become uint32 (int32 where negative, 64 bits where large), bytes an array of uint8."""

NUMBERS = {block.name: number for number, block in TENSOR_TYPES.items()}

_U8, _U32, _I32, _F32, _BOOL, _STRING, _ARRAY, _U64, _I64, _F64 = 0, 4, 5, 6, 7, 8, 9, 10, 11, 12
_LARGEST_F32 = 3.4028234e38


def write_gguf(
    file: BinaryIO,
    metadata: Mapping[str, Value],
    tensors: Sequence[Written],
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a whole file. ``progress`` is told the bytes of tensors that are done, after each."""
    file.write(header(metadata, tensors))
    done = 0
    for tensor in tensors:
        with tensor.lend() as data:
            if len(data) != tensor.bytes:
                raise ValueError(f"tensor {tensor.name!r} gave {len(data)} bytes, not {tensor.bytes}")
            file.write(data)
        file.write(bytes(-tensor.bytes % DEFAULT_ALIGNMENT))
        done += tensor.bytes
        progress(done)


def header(metadata: Mapping[str, Value], tensors: Sequence[Written]) -> bytes:
    """Everything before the tensors' bytes."""
    parts = [MAGIC, struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [_text(key), *_value(value)]
    offset = 0
    for tensor in tensors:
        shape = tensor.shape[::-1]  # the fastest dimension first
        parts.append(_text(tensor.name))
        parts.append(struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, NUMBERS[tensor.type], offset))
        offset += -(-tensor.bytes // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT
    content = b"".join(parts)
    return content + bytes(-len(content) % DEFAULT_ALIGNMENT)


def _value(value: Value) -> Iterator[bytes]:
    if isinstance(value, bool):
        yield struct.pack("<I?", _BOOL, value)
    elif isinstance(value, int):
        kind, form = (_U32, "I") if 0 <= value < 2**32 else _whole([value])
        yield struct.pack(f"<I{form}", kind, value)
    elif isinstance(value, float):
        kind, form = _real([value])
        yield struct.pack(f"<I{form}", kind, value)
    elif isinstance(value, str):
        yield struct.pack("<I", _STRING) + _text(value)
    else:
        yield from _array(value)


def _array(values: bytes | Sequence[str] | Sequence[int] | Sequence[float]) -> Iterator[bytes]:
    if isinstance(values, bytes):
        kind, content = _U8, values
    elif values and isinstance(values[0], str):
        kind, content = _STRING, b"".join(map(_text, map(str, values)))
    elif values and isinstance(values[0], float):
        kind, form = _real(cast("Sequence[float]", values))
        content = struct.pack(f"<{len(values)}{form}", *values)
    elif values and isinstance(values[0], bool):
        kind, content = _BOOL, struct.pack(f"<{len(values)}?", *values)
    else:
        kind, form = _whole(cast("Sequence[int]", values))
        content = struct.pack(f"<{len(values)}{form}", *values)
    yield struct.pack("<IIQ", _ARRAY, kind, len(values)) + content


def _whole(values: Sequence[int]) -> tuple[int, str]:
    """Number and layout of the type that holds them all."""
    least, most = min(values, default=0), max(values, default=0)
    return (_I32, "i") if least >= -(2**31) and most < 2**31 else (_I64, "q") if most < 2**63 else (_U64, "Q")


def _real(values: Sequence[float]) -> tuple[int, str]:
    is_large = any(_LARGEST_F32 < abs(value) < math.inf for value in values)
    return (_F64, "d") if is_large else (_F32, "f")


def _text(value: str) -> bytes:
    content = value.encode()
    return struct.pack("<Q", len(content)) + content
