"""How large the KV cache becomes: from free memory, the model's context, and what was asked for."""

from __future__ import annotations

from myna.errors import ModelTooLarge

CONTEXTS = 4
"""Full contexts that the cache holds when there is memory. Reserved only: a block takes memory once it is used."""

SHARE = 4
"""Of the free memory, one part in so many at most, unless a single context needs more."""

KEPT = 128 << 20
"""Bytes that the cache may grow to only to remember; more if the weights are larger, as it then matters less."""


def cache_blocks(*, asked: int, available: int, context: int, block_bytes: int, block_size: int) -> int:
    """Number of KV blocks.

    Args:
        asked: bytes that the user wants, or 0.
        available: free memory in bytes, the weights loaded already.
        context: longest sequence in tokens.
        block_bytes: bytes of a block.
        block_size: tokens of a block.

    Raises:
        ModelTooLarge: not even one block fits, or what was asked for exceeds the free memory.
    """
    if asked > available:
        raise ModelTooLarge(
            f"A KV cache of {_mib(asked)} was asked for, but {_mib(available)} of memory are free. "
            "Lower kv_cache_bytes, or set it to 0 to have it sized from free memory."
        )
    one_context = -(-context // block_size)
    if asked:
        blocks = asked // block_bytes
    else:
        wanted = CONTEXTS * one_context
        spared = available // SHARE // block_bytes
        # A small memory still holds one whole context, as long as that leaves half of it to others.
        blocks = min(wanted, max(spared, min(one_context, available // 2 // block_bytes)))
    if blocks < 1:
        raise ModelTooLarge(
            f"The KV cache needs at least {_mib(block_bytes)}, but {_mib(asked or available)} of memory are there. "
            "Close other programs, unload a model or choose a smaller one."
        )
    return blocks


def kept_blocks(*, asked: int, weight_bytes: int, block_bytes: int) -> int | None:
    """How many KV blocks may take memory only for the sake of what they remember; None means all.

    What runs at the same time may always take more. Whoever asks for a size gets all of it.
    """
    return None if asked else max(KEPT, weight_bytes) // block_bytes


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
