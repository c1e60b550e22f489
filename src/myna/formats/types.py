"""Which element and block types tensors have, and how many bytes they take."""

from __future__ import annotations

from typing import NamedTuple


class BlockType(NamedTuple):
    """How a tensor type stores its elements: ``elements`` at a time in ``bytes``."""

    name: str
    elements: int
    bytes: int


TENSOR_TYPES = {
    0: BlockType("F32", 1, 4),
    1: BlockType("F16", 1, 2),
    2: BlockType("Q4_0", 32, 18),
    3: BlockType("Q4_1", 32, 20),
    6: BlockType("Q5_0", 32, 22),
    7: BlockType("Q5_1", 32, 24),
    8: BlockType("Q8_0", 32, 34),
    9: BlockType("Q8_1", 32, 40),
    10: BlockType("Q2_K", 256, 84),
    11: BlockType("Q3_K", 256, 110),
    12: BlockType("Q4_K", 256, 144),
    13: BlockType("Q5_K", 256, 176),
    14: BlockType("Q6_K", 256, 210),
    15: BlockType("Q8_K", 256, 292),
    16: BlockType("IQ2_XXS", 256, 66),
    17: BlockType("IQ2_XS", 256, 74),
    18: BlockType("IQ3_XXS", 256, 98),
    19: BlockType("IQ1_S", 256, 50),
    20: BlockType("IQ4_NL", 32, 18),
    21: BlockType("IQ3_S", 256, 110),
    22: BlockType("IQ2_S", 256, 82),
    23: BlockType("IQ4_XS", 256, 136),
    24: BlockType("I8", 1, 1),
    25: BlockType("I16", 1, 2),
    26: BlockType("I32", 1, 4),
    27: BlockType("I64", 1, 8),
    28: BlockType("F64", 1, 8),
    29: BlockType("IQ1_M", 256, 56),
    30: BlockType("BF16", 1, 2),
    34: BlockType("TQ1_0", 256, 54),
    35: BlockType("TQ2_0", 256, 66),
    39: BlockType("MXFP4", 32, 17),
    40: BlockType("NVFP4", 64, 36),
    41: BlockType("Q1_0", 128, 18),
}
"""GGUF's types by their number."""

BLOCK_TYPES = {
    **{block.name: block for block in TENSOR_TYPES.values()},
    "F8_E4M3": BlockType("F8_E4M3", 1, 1),
    "F8_E5M2": BlockType("F8_E5M2", 1, 1),
    "F8_E8M0": BlockType("F8_E8M0", 1, 1),
    "U8": BlockType("U8", 1, 1),
    "U16": BlockType("U16", 1, 2),
    "U32": BlockType("U32", 1, 4),
    "U64": BlockType("U64", 1, 8),
    "BOOL": BlockType("BOOL", 1, 1),
    "C64": BlockType("C64", 1, 8),
}
"""All types by name, those of safetensors too."""
