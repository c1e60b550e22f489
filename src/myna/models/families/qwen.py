"""Qwen 2, 2.5 and 3; Yang et al. 2024, 2025 (https://arxiv.org/abs/2407.10671, https://arxiv.org/abs/2505.09388).

Qwen 2 has biases on q, k and v alone; Qwen 3 has norms on each head of q and k instead.
"""

from __future__ import annotations

from typing import Any

from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.families.layers import windowed


def qwen2_from_gguf(file: ModelFile) -> ModelConfig:
    """Unlike Llama's, q and k lie as they were trained."""
    return gguf.decoder_config(file, "qwen2", norm="rms", activation="silu", rope="half", qkv_bias=True)


def qwen3_from_gguf(file: ModelFile) -> ModelConfig:
    """As those of Qwen 2, but for norms where the biases were."""
    return gguf.decoder_config(file, "qwen3", norm="rms", activation="silu", rope="half", head_norm=True)


def qwen2_from_huggingface(file: ModelFile) -> ModelConfig:
    """No key speaks of the biases."""
    return decoder_config(file, qkv_bias=True)


def qwen3_from_huggingface(file: ModelFile) -> ModelConfig:
    """Heads have 128 dimensions, whatever the width, unless the file says otherwise."""
    bias = file.metadata.boolean("attention_bias", False)
    return decoder_config(file, head_norm=True, qkv_bias=bias, output_bias=bias, defaults={"head_dim": 128})


def decoder_config(file: ModelFile, **quirks: Any) -> ModelConfig:
    """A sliding window, if it is used at all, is in the upper layers."""
    read = file.metadata
    config = huggingface.decoder_config(file, tied_embeddings=read.boolean("tie_word_embeddings", False), **quirks)
    if not read.boolean("use_sliding_window", False):
        return config
    window = huggingface.sliding_window(file, config.context, default=4096)
    full = read.integer("max_window_layers", 28, maximum=2**16)
    local = huggingface.windowed_layers(file, [layer >= full for layer in range(config.layers)])
    return windowed(config, window, local)


QWEN2 = Family(
    gguf=Layout(qwen2_from_gguf, gguf.WEIGHTS, consumed=frozenset({gguf.ROPE_FACTORS})),
    huggingface=huggingface.layout(qwen2_from_huggingface),
)
QWEN3 = Family(
    gguf=Layout(qwen3_from_gguf, gguf.WEIGHTS, consumed=frozenset({gguf.ROPE_FACTORS})),
    huggingface=huggingface.layout(qwen3_from_huggingface),
)
