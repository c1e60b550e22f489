"""A configuration as GGUF's keys: the way back of `myna.models.families.gguf`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.formats.gguf_writer import Value
from myna.models.config import AnyConfig, EncoderConfig, ModelConfig, RopeConfig
from myna.models.convert.rotary import main_rope
from myna.models.families.pooling import GGUF_POOLING

ARCHITECTURES = {
    "gemma3_text": "gemma3",
    "gpt_neox": "gptneox",
    "gpt_oss": "gpt-oss",
    "mistral": "llama",
    "mixtral": "llama",
    "qwen3_moe": "qwen3moe",
}
"""What GGUF calls an architecture, where not as Hugging Face does."""

TOKEN_TYPES = 2
FACTORS, LONG, SHORT = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"


def architecture_keys(config: AnyConfig, source: ModelFile) -> dict[str, Value]:
    """Everything that describes the model's shape; ``source`` is asked for what a configuration has computed away.

    Raises ModelFileError for models that score documents, whose head GGUF files keep otherwise.
    """
    if isinstance(config, EncoderConfig) and config.ranks:
        raise ModelFileError(source.path, "a model that scores documents cannot be converted")
    return encoder_keys(config) if isinstance(config, EncoderConfig) else decoder_keys(config, source)


def encoder_keys(config: EncoderConfig) -> dict[str, Value]:
    """An encoder's shape, and how its vectors become one."""
    name = config.architecture
    keys: dict[str, Value] = {
        "block_count": config.layers,
        "context_length": config.context,
        "embedding_length": config.width,
        "feed_forward_length": config.mlp_width,
        "attention.head_count": config.heads,
        "attention.layer_norm_epsilon": config.norm_epsilon,
        "attention.causal": False,
        "pooling_type": next(kind for kind, pooling in GGUF_POOLING.items() if kind and pooling == config.pooling),
    }
    keys = {f"{name}.{key}": value for key, value in keys.items()}
    return keys | {"general.architecture": name, "tokenizer.ggml.token_type_count": TOKEN_TYPES}


def decoder_keys(config: ModelConfig, source: ModelFile) -> dict[str, Value]:
    """A decoder's shape and quirks, as far as there are keys for them."""
    name = ARCHITECTURES.get(config.architecture, config.architecture)
    keys: dict[str, Value | None] = {
        "block_count": config.layers,
        "context_length": config.context,
        "embedding_length": config.width,
        "feed_forward_length": config.mlp_width,
        "vocab_size": config.vocab_size,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        f"attention.layer_norm_{'rms_' if config.norm == 'rms' else ''}epsilon": config.norm_epsilon,
        "attention.sliding_window": next((layer.window for layer in config.attention if layer.window), None),
        "attn_logit_softcapping": config.attention_softcap,
        "final_logit_softcapping": config.logit_softcap,
        "use_parallel_residual": config.parallel_residual if name == "gptneox" else None,
    }
    if config.experts is not None:
        keys |= {
            "expert_count": config.experts.count,
            "expert_used_count": config.experts.chosen,
            "expert_feed_forward_length": config.mlp_width,
        }
    keys |= _rope_keys(config, source)
    named: dict[str, Value] = {f"{name}.{key}": value for key, value in keys.items() if value is not None}
    return {"general.architecture": name} | named


def computed_tensors(config: AnyConfig) -> dict[str, NDArray[np.float32]]:
    """Tensors that no checkpoint has: factors of frequencies that no key can tell, and the kinds of an encoder's texts.

    All texts are of the first kind, which is in the table of positions already.
    """
    if isinstance(config, EncoderConfig):
        return {"token_types.weight": np.zeros((TOKEN_TYPES, config.width), np.float32)}
    rope = main_rope(config)
    if rope is None or rope.factors is None or _is_uniform(rope) or (rope.scale != 1.0 and not rope.short_factors):
        return {}
    factors = np.array(rope.factors, np.float32)
    if rope.short_factors is None:
        return {FACTORS: factors}
    return {LONG: factors, SHORT: np.array(rope.short_factors, np.float32)}


def _rope_keys(config: ModelConfig, source: ModelFile) -> dict[str, Any]:
    rope = main_rope(config)
    if rope is None:
        return {}
    keys: dict[str, Any] = {"rope.dimension_count": rope.dims, "rope.freq_base": rope.base}
    local = next((layer.rope for layer in config.attention if layer.window and layer.rope), rope)
    if local.base != rope.base:
        keys["rope.freq_base_swa"] = local.base
    if rope.short_factors is not None:
        keys |= {"rope.scaling.attn_factor": rope.scale, "rope.scaling.original_context_length": rope.short_context}
    elif rope.factors is not None and _is_uniform(rope):
        keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": rope.factors[0]}
    elif rope.scale != 1.0:
        keys |= {"rope.scaling.type": "yarn"} | _yarn(source)
    return keys


def _yarn(source: ModelFile) -> dict[str, Any]:
    """YaRN's own parameters, which the factors were computed from."""
    names = {
        "factor": "rope.scaling.factor",
        "original_max_position_embeddings": "rope.scaling.original_context_length",
        "beta_fast": "rope.scaling.yarn_beta_fast",
        "beta_slow": "rope.scaling.yarn_beta_slow",
    }
    found = {}
    for name, key in names.items():
        for place in ("rope_parameters.", "rope_scaling."):
            value = source.metadata.get(place + name)
            if isinstance(value, int | float):
                found[key] = int(value) if name.startswith("original") else float(value)
    return found


def _is_uniform(rope: RopeConfig) -> bool:
    return rope.factors is not None and len(set(rope.factors)) == 1
