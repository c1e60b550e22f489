"""GGUF files byte by byte, so that tests can write what no library would."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

U8, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 5, 6, 7, 8, 9, 10
U32 = 4
F32_TENSOR, Q4_1_TENSOR = 0, 3


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def key(name: str | bytes, type_id: int, payload: bytes) -> bytes:
    return text(name) + u32(type_id) + payload


def array(type_id: int, elements: list[bytes], count: int | None = None) -> bytes:
    return u32(type_id) + u64(len(elements) if count is None else count) + b"".join(elements)


def tensor(name: str, shape: tuple[int, ...], type_id: int, offset: int) -> bytes:
    """``shape`` as GGUF writes it: the fastest dimension first."""
    return text(name) + u32(len(shape)) + b"".join(map(u64, shape)) + u32(type_id) + u64(offset)


@dataclass
class File:
    """A file in parts; counts may lie."""

    keys: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)
    data: bytes = b""
    magic: bytes = b"GGUF"
    version: int = 3
    key_count: int | None = None
    tensor_count: int | None = None
    alignment: int = 32

    def build(self) -> bytes:
        tensors = len(self.tensors) if self.tensor_count is None else self.tensor_count
        keys = len(self.keys) if self.key_count is None else self.key_count
        header = self.magic + u32(self.version) + u64(tensors) + u64(keys) + b"".join([*self.keys, *self.tensors])
        return header + b"\0" * (-len(header) % self.alignment) + self.data
