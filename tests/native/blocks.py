"""GGUF's quantised blocks in NumPy, for feeding the native packer and saying what its weights mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def encode(source_type: str, values: Floats) -> NDArray[np.uint8]:
    """Bytes of values [rows, columns] as ``source_type``, row by row."""
    rows = len(values)
    if source_type == "F32":
        return values.astype("<f4").view(np.uint8).reshape(rows, -1)
    if source_type == "F16":
        return values.astype("<f2").view(np.uint8).reshape(rows, -1)
    if source_type == "BF16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").view(np.uint8).reshape(rows, -1)
    groups = values.reshape(rows, -1, 32)
    if source_type == "Q8_0":
        scales = (np.abs(groups).max(-1, keepdims=True) / 127).astype("<f2")
        codes = np.clip(np.rint(groups / nonzero(scales)), -127, 127).astype(np.int8).view(np.uint8)
        parts = [scales.view(np.uint8), codes]
    elif source_type == "Q4_0":
        scales = (np.abs(groups).max(-1, keepdims=True) / -8).astype("<f2")
        codes = np.clip(np.rint(groups / nonzero(scales)) + 8, 0, 15).astype(np.uint8)
        parts = [scales.view(np.uint8), codes[..., :16] | codes[..., 16:] << 4]
    else:
        assert source_type == "Q4_1"
        low = groups.min(-1, keepdims=True)
        scales, minimums = ((groups.max(-1, keepdims=True) - low) / 15).astype("<f2"), low.astype("<f2")
        codes = np.clip(np.rint((groups - minimums) / nonzero(scales)), 0, 15).astype(np.uint8)
        parts = [scales.view(np.uint8), minimums.view(np.uint8), codes[..., :16] | codes[..., 16:] << 4]
    return np.concatenate(parts, -1).reshape(rows, -1)


def decode(source_type: str, data: NDArray[np.uint8], columns: int) -> Floats:
    """Values [rows, columns] of what `encode` returned."""
    rows = len(data)
    if source_type == "F32":
        return data.view("<f4").reshape(rows, columns).astype(np.float32)
    if source_type == "F16":
        return data.view("<f2").reshape(rows, columns).astype(np.float32)
    if source_type == "BF16":
        return (data.view("<u2").astype("<u4") << 16).view("<f4").reshape(rows, columns)
    blocks = data.reshape(rows, columns // 32, -1)
    scales = np.ascontiguousarray(blocks[..., :2]).view("<f2").astype(np.float32)
    if source_type == "Q8_0":
        return (scales * blocks[..., 2:].view(np.int8)).reshape(rows, columns)
    start = 2 if source_type == "Q4_0" else 4
    codes = np.concatenate([blocks[..., start:] & 15, blocks[..., start:] >> 4], -1).astype(np.float32)
    if source_type == "Q4_0":
        return (scales * (codes - 8)).reshape(rows, columns)
    minimums = np.ascontiguousarray(blocks[..., 2:4]).view("<f2").astype(np.float32)
    return (scales * codes + minimums).reshape(rows, columns)


def nonzero(scales: NDArray[np.float16]) -> Floats:
    return np.where(scales == 0, np.float32(1), scales.astype(np.float32))
