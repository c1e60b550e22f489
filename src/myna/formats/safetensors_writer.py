"""Writes safetensors files, tensor by tensor, so that no model need be in memory whole."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from typing import BinaryIO

from myna.formats.written import Written


def write_safetensors(
    file: BinaryIO, tensors: Sequence[Written], progress: Callable[[int], None] = lambda done: None
) -> None:
    """Write a whole file. ``progress`` is told the bytes of tensors that are done, after each."""
    described: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        described[tensor.name] = {
            "dtype": tensor.type,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.bytes],
        }
        offset += tensor.bytes
    header = json.dumps(described, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    file.write(struct.pack("<Q", len(header)) + header)
    done = 0
    for tensor in tensors:
        with tensor.lend() as data:
            if len(data) != tensor.bytes:
                raise ValueError(f"tensor {tensor.name!r} gave {len(data)} bytes, not {tensor.bytes}")
            file.write(data)
        done += tensor.bytes
        progress(done)
