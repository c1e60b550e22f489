"""How rotary frequencies are stretched for sequences longer than those of training.

Each way arrives in `RopeConfig.factors`: what divides each of the dims/2 frequencies, base^(-2i/dims).
"""

from __future__ import annotations

from math import ceil, floor, log, pi, sqrt


def linear_factors(dims: int, factor: float) -> tuple[float, ...]:
    """Every position is as if divided; Chen et al. 2023 (https://arxiv.org/abs/2306.15595)."""
    return (factor,) * (dims // 2)


def llama3_factors(
    dims: int, base: float, *, factor: float, low: float, high: float, original: int
) -> tuple[float, ...]:
    """Pairs that turn more than ``high`` times in the original context stay, fewer than ``low`` are divided.

    Between them the divisor changes smoothly; Grattafiori et al. 2024 (https://arxiv.org/abs/2407.21783).
    """
    factors = []
    for pair in range(dims // 2):
        turns = original / (2 * pi * base ** (2 * pair / dims))  # in the original context
        kept = min(max((turns - low) / (high - low), 0.0), 1.0) if high > low else float(turns >= high)
        factors.append(1 / (kept + (1 - kept) / factor))
    return tuple(factors)


def yarn_factors(
    dims: int,
    base: float,
    *,
    factor: float,
    original: int,
    fast: float = 32.0,
    slow: float = 1.0,
    truncate: bool = True,
) -> tuple[float, ...]:
    """YaRN: pairs that turn more than ``fast`` times in the original context stay, fewer than ``slow`` are divided.

    Peng et al. 2023 (https://arxiv.org/abs/2309.00071). ``truncate`` widens the ramp between them to whole pairs.
    """
    first, last = (dims * log(original / (turns * 2 * pi)) / (2 * log(base)) for turns in (fast, slow))
    if truncate:
        first, last = floor(first), ceil(last)
    first, last = max(first, 0), min(last, dims - 1)
    if first == last:
        last += 0.001
    factors = []
    for pair in range(dims // 2):
        divided = min(max((pair - first) / (last - first), 0.0), 1.0)
        factors.append(1 / (1 - divided + divided / factor))
    return tuple(factors)


def yarn_scale(factor: float, weight: float = 1.0) -> float:
    """What YaRN multiplies cosines and sines by."""
    return 1.0 if factor <= 1 else 0.1 * weight * log(factor) + 1


def longrope_scale(factor: float, original: int) -> float:
    """What LongRoPE multiplies them by; Ding et al. 2024 (https://arxiv.org/abs/2402.13753)."""
    return 1.0 if factor <= 1 else sqrt(1 + log(factor) / log(original))
