"""Random blocks of GGUF's quantised types with sane scales, and what they mean according to the `gguf` package.

The package can quantise only some of the types; any bytes are valid codes for the rest, so that only their scales
must be chosen.
"""

from __future__ import annotations

import gguf
import numpy as np
from numpy.typing import NDArray

HALVES = {
    "Q4_0": {0: 8}, "Q4_1": {0: 15, 2: -2}, "Q5_0": {0: 16}, "Q5_1": {0: 31, 2: -2}, "Q8_0": {0: 128},
    "Q2_K": {80: 3 * 15, 82: 2 * 15}, "Q3_K": {108: 4 * 32}, "Q4_K": {0: 15 * 63, 2: 2 * 63},
    "Q5_K": {0: 31 * 63, 2: 2 * 63}, "Q6_K": {208: 32 * 128}, "IQ4_NL": {0: 127},
}  # fmt: skip
"""Where a block of a type has float16 scales, and by how much the codes and scales within multiply each at most."""

TYPES = (*HALVES, "MXFP4")
UNQUANTISABLE = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL")
"""Types that the `gguf` package reads only."""


def block_size(source: str) -> tuple[int, int]:
    """Elements and bytes of a block."""
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[source]]
    return elements, size


def random_rows(
    source: str, rows: int, columns: int, random: np.random.Generator, largest: float = 1
) -> NDArray[np.uint8]:
    """[rows, bytes a row]: any codes, and scales that vary and keep the weights within about ``largest``."""
    elements, size = block_size(source)
    blocks = random.integers(0, 256, (rows, columns // elements, size), np.uint8)
    if source == "MXFP4":
        blocks[..., 0] = np.log2(largest / 6) + 127 - random.integers(0, 4, blocks.shape[:2])
    for offset, reach in HALVES.get(source, {}).items():
        scales = (largest / reach * random.uniform(0.3, 1, blocks.shape[:2])).astype("<f2")
        blocks[..., offset : offset + 2] = scales[..., None].view(np.uint8)
    return blocks.reshape(rows, -1)


def values(source: str, data: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[rows, columns], dequantised by the `gguf` package in single precision."""
    return np.asarray(gguf.quants.dequantize(data, gguf.GGMLQuantizationType[source]), np.float32)
