"""Quantised blocks of 32 weights, both ways, as llama.cpp writes and reads them (ggml-quants.c, its reference code).

Q8_0: float16 scale, 32 signed bytes. Q4_0: float16 scale, 16 bytes of two codes minus 8; code i shares its byte with
code i + 16. Q4_1: float16 scale and minimum, codes likewise. Q5_0 and Q5_1 keep their fifth bits in four more bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from myna.formats.floats import as_bytes, to_bfloat16, to_float32

GROUP = 32
CHUNK = 2**20
"""Weights that are converted at a time, so that what is in between stays small."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

READABLE = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
"""What `decode` understands."""


def encode(values: Floats, type_: str) -> memoryview:
    """Weights as that type's bytes. Blocks run along the whole array, whose rows are whole blocks.

    Raises ValueError for weights that the type cannot hold: not finite, or beyond float16.
    """
    flat = values.reshape(-1)
    if type_ == "F32":
        return as_bytes(flat)
    if type_ == "BF16":
        return as_bytes(to_bfloat16(flat))
    if not np.isfinite(flat).all() or (len(flat) and np.abs(flat).max() > 65_504):
        raise ValueError(f"a weight is not finite, or too large for {type_}")
    if type_ == "F16":
        return as_bytes(flat.astype("<f2"))
    quantise = {"Q8_0": _q8_0, "Q4_0": _q4_0, "Q4_1": _q4_1}[type_]
    return as_bytes(
        np.concatenate([quantise(flat[at : at + CHUNK].reshape(-1, GROUP)) for at in range(0, len(flat), CHUNK)])
    )


def decode(data: memoryview | bytes, type_: str) -> Floats:
    """The weights that bytes of a `READABLE` type stand for, flat."""
    if type_ in ("F32", "F16", "BF16"):
        return to_float32(data, type_)
    sizes = {"Q8_0": 34, "Q4_0": 18, "Q4_1": 20, "Q5_0": 22, "Q5_1": 24}
    blocks = np.frombuffer(data, np.uint8).reshape(-1, sizes[type_])
    scale = _half(blocks[:, :2])
    if type_ == "Q8_0":
        return (scale * blocks[:, 2:].view(np.int8)).reshape(-1)
    codes = blocks[:, -16:]
    whole = np.concatenate([codes & 15, codes >> 4], axis=1).astype(np.float32)
    if type_.startswith("Q5"):
        fifth = np.unpackbits(blocks[:, -20:-16], axis=1, bitorder="little")
        whole += 16 * fifth.astype(np.float32)
    values: Floats = scale * (whole if type_.endswith("_1") else whole - (8 if type_ == "Q4_0" else 16))
    if type_.endswith("_1"):
        values += _half(blocks[:, 2:4])
    return values.reshape(-1)


def _q8_0(blocks: Floats) -> Bytes:
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * _inverse(scale)
    # Halves away from zero, as C's roundf; NumPy's own rounding takes them to the even neighbour.
    magnitude = np.abs(scaled)
    whole = np.floor(magnitude)
    codes = np.copysign(whole + np.floor(2 * (magnitude - whole)), scaled).astype(np.int8)
    return np.concatenate([_as_half(scale), codes.view(np.uint8)], axis=1)


def _q4_0(blocks: Floats) -> Bytes:
    """The weight of the largest magnitude becomes -8 exactly, with its sign in the scale."""
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    scale = largest / np.float32(-8)
    codes = (blocks * _inverse(scale) + np.float32(8.5)).astype(np.uint8).clip(0, 15)
    return np.concatenate([_as_half(scale), _pairs(codes)], axis=1)


def _q4_1(blocks: Floats) -> Bytes:
    least = blocks.min(axis=1, keepdims=True)
    scale = (blocks.max(axis=1, keepdims=True) - least) / np.float32(15)
    codes = ((blocks - least) * _inverse(scale) + np.float32(0.5)).astype(np.uint8).clip(0, 15)
    return np.concatenate([_as_half(scale), _as_half(least), _pairs(codes)], axis=1)


def _inverse(scale: Floats) -> Floats:
    return np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)


def _pairs(codes: Bytes) -> Bytes:
    return codes[:, :16] | codes[:, 16:] << np.uint8(4)


def _half(raw: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(raw).view("<f2").astype(np.float32)


def _as_half(values: Floats) -> Bytes:
    return values.astype("<f2").view(np.uint8)
