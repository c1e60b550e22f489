"""Phi-3 and Phi-4; Abdin et al. 2024 (https://arxiv.org/abs/2404.14219).

q, k and v are one matrix, gate and up another. Variants for long contexts have two lists of rotary factors.
"""

from __future__ import annotations

from myna.formats import ModelFile
from myna.models.config import ModelConfig, RopeConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.families.layers import windowed
from myna.models.weights import Part, QueryKeyValue, Source

LONG, SHORT = "rope_factors_long.weight", "rope_factors_short.weight"


def from_gguf(file: ModelFile) -> ModelConfig:
    """The factors are tensors of their own."""
    config = gguf.decoder_config(file, "phi3", norm="rms", activation="silu", rope="half")
    window = gguf.sliding_window(file, "phi3", config.context)
    rope = config.attention[0].rope
    if rope is None or LONG not in file.tensors:
        return windowed(config, window)
    long, short = (gguf.rope_factors(file, name, rope.dims // 2) for name in (LONG, SHORT))
    scale = file.metadata.number("phi3.rope.scaling.attn_factor", 1.0, minimum=1e-3, maximum=1e3)
    original = file.metadata.integer("phi3.rope.scaling.original_context_length", minimum=1, maximum=2**26)
    return windowed(config, window, rope=RopeConfig(rope.dims, rope.base, rope.layout, long, scale, short, original))


def from_huggingface(file: ModelFile) -> ModelConfig:
    """Every layer has the sliding window, if there is one."""
    config = huggingface.decoder_config(file, tied_embeddings=file.metadata.boolean("tie_word_embeddings", False))
    return windowed(config, huggingface.sliding_window(file, config.context))


QKV, GATE_UP = "layers.{}.self_attn.qkv_proj.weight", "layers.{}.mlp.gate_up_proj.weight"

WEIGHTS: dict[str, Source] = huggingface.WEIGHTS | {
    "layers.{}.attention.q": QueryKeyValue(QKV, "q"),
    "layers.{}.attention.k": QueryKeyValue(QKV, "k"),
    "layers.{}.attention.v": QueryKeyValue(QKV, "v"),
    "layers.{}.mlp.gate": Part(GATE_UP, 0, 2),
    "layers.{}.mlp.up": Part(GATE_UP, 1, 2),
}
GGUF_WEIGHTS: dict[str, Source] = {
    **gguf.WEIGHTS,
    **gguf.FUSED_QKV,
    "layers.{}.mlp.gate": Part("blk.{}.ffn_up.weight", 0, 2),
    "layers.{}.mlp.up": Part("blk.{}.ffn_up.weight", 1, 2),
}

FAMILY = Family(
    gguf=Layout(from_gguf, GGUF_WEIGHTS, consumed=frozenset({LONG, SHORT})),
    huggingface=huggingface.layout(from_huggingface, WEIGHTS),
)
