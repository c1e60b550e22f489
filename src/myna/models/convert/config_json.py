"""A configuration as Hugging Face's config.json: the way back of `myna.models.families.huggingface`."""

from __future__ import annotations

from typing import Any

from myna.models.config import ModelConfig
from myna.models.convert.rotary import main_rope

MODEL_TYPES = {"gemma3": "gemma3_text", "gptneox": "gpt_neox"}
"""What Hugging Face calls an architecture, where not as GGUF does."""

CLASSES = {
    "bloom": "BloomForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gpt_neox": "GPTNeoXForCausalLM",
    "llama": "LlamaForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
}
"""Families that are written, with the class that `transformers` loads them as."""

ACTIVATIONS = {"silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh"}

SPELT = {
    "gpt2": {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "max_position_embeddings": "n_positions",
        "intermediate_size": "n_inner",
        "hidden_act": "activation_function",
    },
    "bloom": {
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "max_position_embeddings": "seq_length",
    },
    "gpt_neox": {"layer_norm_epsilon": "layer_norm_eps"},
    "gemma2": {"hidden_act": "hidden_activation"},
    "gemma3_text": {"hidden_act": "hidden_activation"},
}
"""Families that call things otherwise than Llama does."""


def configuration(config: ModelConfig, model_type: str) -> dict[str, Any]:
    """config.json; `myna.models.convert.readback` checks that it means what ``config`` does."""
    norm = "rms_norm_eps" if config.norm == "rms" else "layer_norm_epsilon"
    windows = [layer.window for layer in config.attention]
    keys: dict[str, Any] = {
        "architectures": [CLASSES[model_type]],
        "model_type": model_type,
        "hidden_size": config.width,
        "intermediate_size": config.mlp_width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context,
        "vocab_size": config.vocab_size,
        "hidden_act": "gelu_new" if model_type == "gpt2" else ACTIVATIONS[config.activation],
        norm: config.norm_epsilon,
        "tie_word_embeddings": config.tied_embeddings,
        "sliding_window": next((window for window in windows if window), None),
    }
    if len(set(windows)) > 1 or model_type.startswith("gemma"):
        keys["layer_types"] = ["sliding_attention" if window else "full_attention" for window in windows]
    if model_type in ("llama", "smollm3"):
        keys |= {"attention_bias": config.qkv_bias, "mlp_bias": config.mlp_bias}
    if model_type == "gpt_neox":
        keys |= {"attention_bias": config.qkv_bias, "use_parallel_residual": config.parallel_residual}
    if model_type.startswith("gemma"):
        assert config.attention_scale is not None
        keys |= {
            "query_pre_attn_scalar": round(config.attention_scale**-2),
            "attn_logit_softcapping": config.attention_softcap,
            "final_logit_softcapping": config.logit_softcap,
        }
    if model_type == "smollm3":
        keys["no_rope_layers"] = [int(layer.rope is not None) for layer in config.attention]
    keys |= _rope(config, model_type)
    spelt = SPELT.get(model_type, {})
    return {spelt.get(key, key): value for key, value in keys.items() if value is not None}


def _rope(config: ModelConfig, model_type: str) -> dict[str, Any]:
    rope = main_rope(config)
    if rope is None:
        return {}
    whole: dict[str, Any] = {"rope_type": "default", "rope_theta": rope.base}
    if rope.dims != config.head_dim:
        whole["partial_rotary_factor"] = rope.dims / config.head_dim
    if rope.factors is not None and len(set(rope.factors)) == 1:
        whole |= {"rope_type": "linear", "factor": rope.factors[0]}
    elif rope.factors is not None:
        # Llama 3's parameters but for its factor are the same in all of its releases; a reader compares the result.
        whole |= {"rope_type": "llama3", "factor": max(rope.factors), "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        whole["original_max_position_embeddings"] = 8192
    if model_type != "gemma3_text":
        return {"rope_parameters": whole}
    local = next((layer.rope for layer in config.attention if layer.window and layer.rope), rope)
    turned = {"rope_type": "default", "rope_theta": local.base}
    return {"rope_parameters": {"full_attention": whole, "sliding_attention": turned}}
