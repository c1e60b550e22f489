"""Which layers of a decoder attend in another way than the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from myna.models.config import AttentionConfig, ModelConfig, RopeConfig


def windowed(
    config: ModelConfig, window: int | None, local: Sequence[bool] | None = None, rope: RopeConfig | None = None
) -> ModelConfig:
    """A sliding window, and ``rope`` if it is given, in the layers where ``local`` says so; None: in all."""
    local = [True] * config.layers if local is None else local
    return replace(
        config,
        attention=tuple(
            AttentionConfig(rope or layer.rope, window) if here else layer
            for here, layer in zip(local, config.attention, strict=True)
        ),
    )


def unturned(config: ModelConfig, free: Sequence[bool]) -> ModelConfig:
    """No rotary positions in the layers where ``free`` says so."""
    return replace(
        config,
        attention=tuple(
            AttentionConfig(None, layer.window) if here else layer
            for here, layer in zip(free, config.attention, strict=True)
        ),
    )
