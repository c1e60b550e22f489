"""Gemma 2 and 3; Gemma Team 2024, 2025 (https://arxiv.org/abs/2408.00118, https://arxiv.org/abs/2503.19786).

Norms stand in front of and behind both halves of a layer. Hugging Face's files keep their weights as what is added to
one; in GGUF files the one is in. Most layers see a sliding window only.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

from myna.formats import ModelFile
from myna.models.config import AttentionConfig, ModelConfig, RopeConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.families.huggingface_rope import rope_config
from myna.models.families.layers import windowed
from myna.models.weights import Offset, Source

LARGEST = {"gemma2": 46, "gemma3": 62}
"""Layers of the 27B models. They divide scores by sqrt(width / heads), for which GGUF has no key."""


def gemma2_from_gguf(file: ModelFile) -> ModelConfig:
    """Every other layer has a window, from the first on."""
    read = file.metadata
    config = gguf_config(
        file,
        "gemma2",
        attention_softcap=read.number("gemma2.attn_logit_softcapping", 50.0, minimum=1e-3, maximum=1e6),
        logit_softcap=read.number("gemma2.final_logit_softcapping", 30.0, minimum=1e-3, maximum=1e6),
    )
    window = gguf.sliding_window(file, "gemma2", config.context, default=4096)
    return windowed(config, window, [layer % 2 == 0 for layer in range(config.layers)])


def gemma3_from_gguf(file: ModelFile) -> ModelConfig:
    """Five layers with a window and a rotary base of their own, then one without; all alike if there is no window."""
    cap = "gemma3.final_logit_softcapping"
    config = gguf_config(
        file,
        "gemma3",
        head_norm=True,
        logit_softcap=file.metadata.number(cap, minimum=1e-3, maximum=1e6) if cap in file.metadata else None,
    )
    if file.metadata.get("gemma3.attention.sliding_window", 0) == 0:
        return config
    window = gguf.sliding_window(file, "gemma3", config.context)
    base = file.metadata.number("gemma3.rope.freq_base_swa", 10_000.0, minimum=2.0, maximum=1e12)
    local = RopeConfig(config.head_dim, base, "half")
    return windowed(config, window, [(layer + 1) % 6 != 0 for layer in range(config.layers)], local)


def gguf_config(file: ModelFile, architecture: str, **quirks: Any) -> ModelConfig:
    """What both versions share."""
    config = gguf.decoder_config(
        file, architecture, norm="rms", activation="gelu_tanh", rope="half", post_norms=True, **quirks
    )
    largest = config.layers == LARGEST[architecture]
    scale = (config.width / config.heads if largest else config.head_dim) ** -0.5
    return replace(config, attention_scale=scale, embedding_scale=sqrt(config.width))


def gemma2_from_huggingface(file: ModelFile) -> ModelConfig:
    """Which layers have a window is said by ``layer_types``, and by old files not at all."""
    read = file.metadata
    config = huggingface_config(
        file,
        attention_softcap=read.number("attn_logit_softcapping", 50.0, minimum=1e-3, maximum=1e6),
        logit_softcap=read.number("final_logit_softcapping", 30.0, minimum=1e-3, maximum=1e6),
    )
    window = huggingface.sliding_window(file, config.context, default=4096)
    default = [layer % 2 == 0 for layer in range(config.layers)]
    return windowed(config, window, huggingface.windowed_layers(file, default))


def gemma3_from_huggingface(file: ModelFile) -> ModelConfig:
    """Of the models that see pictures too: what they say in words."""
    read, section = file.metadata, "text_config." if "text_config.hidden_size" in file.metadata else ""
    caps = {
        field: read.number(key, minimum=1e-3, maximum=1e6)
        for field, name in (
            ("attention_softcap", "attn_logit_softcapping"),
            ("logit_softcap", "final_logit_softcapping"),
        )
        if (key := section + name) in read
    }
    config = huggingface_config(
        file,
        section,
        head_norm=True,
        theta=None,
        defaults={
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "vocab_size": 262_208,
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-6,
        },
        **caps,
    )
    window = huggingface.sliding_window(file, config.context, section, default=4096)
    period = read.integer(f"{section}sliding_window_pattern", 6, minimum=1, maximum=1024)
    default = [(layer + 1) % period != 0 for layer in range(config.layers)]
    rotary: dict[str, Any] = {"section": section, "head_dim": config.head_dim, "context": config.context}
    everywhere = rope_config(file, **rotary, places=("rope_parameters.full_attention.", "rope_scaling."), theta=1e6)
    local = rope_config(
        file, **rotary, places=("rope_parameters.sliding_attention.",), bases=("rope_local_base_freq",), theta=1e4
    )
    config = replace(config, attention=(AttentionConfig(everywhere),) * config.layers)
    return windowed(config, window, huggingface.windowed_layers(file, default, section), local)


def huggingface_config(file: ModelFile, section: str = "", **quirks: Any) -> ModelConfig:
    """What both versions share."""
    read, scalar = file.metadata, f"{section}query_pre_attn_scalar"
    huggingface.expect(file, {f"{section}use_bidirectional_attention": False, f"{section}attention_bias": False})
    config = huggingface.decoder_config(
        file,
        section=section,
        activation=huggingface.activation(file, section, ("hidden_activation",), default="gelu_pytorch_tanh"),
        tied_embeddings=read.boolean(f"{section}tie_word_embeddings", True),
        attention_scale=read.number(scalar, 256.0, minimum=1e-3, maximum=1e6) ** -0.5,
        post_norms=True,
        **quirks,
    )
    return replace(config, embedding_scale=sqrt(config.width))


NORMS = {
    "output_norm": "norm",
    "layers.{}.attention_norm": "layers.{}.input_layernorm",
    "layers.{}.attention.q_norm": "layers.{}.self_attn.q_norm",
    "layers.{}.attention.k_norm": "layers.{}.self_attn.k_norm",
    "layers.{}.attention_post_norm": "layers.{}.post_attention_layernorm",
    "layers.{}.mlp_norm": "layers.{}.pre_feedforward_layernorm",
    "layers.{}.mlp_post_norm": "layers.{}.post_feedforward_layernorm",
}
WEIGHTS: dict[str, Source] = huggingface.WEIGHTS | {
    weight: Offset(f"{name}.weight", 1.0) for weight, name in NORMS.items()
}

GEMMA2 = Family(
    gguf=Layout(gemma2_from_gguf, gguf.WEIGHTS), huggingface=huggingface.layout(gemma2_from_huggingface, WEIGHTS)
)
GEMMA3 = Family(
    gguf=Layout(gemma3_from_gguf, gguf.WEIGHTS),
    huggingface=Layout(
        gemma3_from_huggingface,
        WEIGHTS,
        ignored=frozenset({"lm_head.weight", "vision_tower.*", "multi_modal_projector.*"}),
        prefixes=("language_model.", "model.", "language_model."),  # as today's files order them, and as early ones do
    ),
)
