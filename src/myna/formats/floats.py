"""Floating-point types that NumPy has not: bfloat16 and the 8-bit floats."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOATS = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}


def to_float32(data: memoryview | bytes, type_: str) -> NDArray[np.float32]:
    """The values of F32, F16, F64, BF16 or 8-bit floats, flat; F64 is rounded."""
    if type_ == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if type_ in _FLOATS:
        return np.frombuffer(data, _FLOATS[type_]).astype(np.float32)
    return to_float32(as_bytes(bfloat16_codes(type_)[np.frombuffer(data, np.uint8)]), "BF16")


def to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Bits of the nearest bfloat16, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def as_bytes(array: NDArray[Any]) -> memoryview:
    """The bytes of an array, without a copy where it is contiguous."""
    return array.reshape(-1).view(np.uint8).data


@lru_cache
def bfloat16_codes(type_: str) -> NDArray[np.uint16]:
    """Each of the 256 codes of an 8-bit float as the bits of a bfloat16.

    Micikevicius et al. 2022 (https://arxiv.org/abs/2209.05433).
    """
    exponent_bits, mantissa_bits = (4, 3) if type_ == "F8_E4M3" else (5, 2)
    codes = np.arange(256)
    mantissa, exponent = codes & (2**mantissa_bits - 1), codes >> mantissa_bits & (2**exponent_bits - 1)
    bias = 2 ** (exponent_bits - 1) - 1
    fraction = mantissa / 2**mantissa_bits
    values = np.where(exponent == 0, fraction * 2.0 ** (1 - bias), (1 + fraction) * 2.0 ** (exponent - bias))
    largest = exponent == 2**exponent_bits - 1
    if type_ == "F8_E4M3":  # no infinities: only all ones is set apart
        values[largest & (mantissa == 7)] = np.nan
    else:
        values[largest] = np.where(mantissa[largest] == 0, np.inf, np.nan)
    return to_bfloat16(np.where(codes >> 7 == 1, -values, values).astype(np.float32))
