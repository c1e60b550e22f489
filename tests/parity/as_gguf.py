"""The same weights as a GGUF file, laid out as llama.cpp's converter lays them out.

Written with the `gguf` package, whose table of names this uses, and without any of Myna's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

Floats = NDArray[np.float32]

ARCHITECTURES = {
    "gpt2": "gpt2",
    "gpt_neox": "gptneox",
    "bloom": "bloom",
    "llama": "llama",
    "mistral": "llama",
    "mixtral": "llama",
    "qwen3_moe": "qwen3moe",
    "gpt_oss": "gpt-oss",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "phi3": "phi3",
    "smollm3": "smollm3",
}
"""GGUF's names by Hugging Face's. GPT-J has none that a program would read."""


def write_gguf(
    model: PreTrainedModel,
    path: Path,
    *,
    one_by_one: bool = False,
    mxfp4: Mapping[str, NDArray[np.uint8]] | None = None,
) -> Path:
    """A file of float32 tensors, without a tokenizer.

    ``one_by_one``: experts as tensors of their own, as once. ``mxfp4``: blocks to write in some tensors' place.
    """
    config = model.config.to_dict()
    name = ARCHITECTURES[config["model_type"]]
    writer = gguf.GGUFWriter(path, name)
    write_keys(writer, name, config)
    architecture = next(arch for arch, known in gguf.MODEL_ARCH_NAMES.items() if known == name)
    names = gguf.get_tensor_name_map(architecture, 16)
    state = {key: value.numpy() for key, value in model.state_dict().items() if not key.startswith("lm_head")}
    if not config["tie_word_embeddings"]:
        state["lm_head.weight"] = model.get_output_embeddings().weight.detach().numpy()
    for key, weights in state.items():
        if key == "embed_out.weight":
            continue  # GPT-NeoX's head, which is there as lm_head already
        bare = key.removeprefix("transformer.") if name == "bloom" else key
        for part, array in experts(name, bare, weights).items():
            stored = names.get_name(part, try_suffixes=(".weight", ".bias"))
            assert stored is not None, part
            laid_out = np.ascontiguousarray(rearrange(name, key, array, config), np.float32)
            if one_by_one and "_exps." in stored:
                for expert, matrix in enumerate(laid_out):
                    writer.add_tensor(stored.replace("_exps.", f".{expert}."), matrix)
            elif mxfp4 and stored in mxfp4:
                writer.add_tensor(stored, mxfp4[stored], raw_dtype=gguf.GGMLQuantizationType.MXFP4)
            else:
                writer.add_tensor(stored, laid_out)
    write_rope_factors(writer, name, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def first(config: dict[str, Any], *keys: str) -> Any:
    """The value of the first key that has one."""
    return next((config[key] for key in keys if config.get(key) is not None), None)


def write_keys(writer: gguf.GGUFWriter, name: str, config: dict[str, Any]) -> None:
    """What the architecture's loader asks for."""
    width, heads = first(config, "hidden_size", "n_embd"), first(config, "num_attention_heads", "n_head")
    writer.add_embedding_length(width)
    writer.add_head_count(heads)
    writer.add_block_count(first(config, "num_hidden_layers", "n_layer"))
    writer.add_context_length(first(config, "max_position_embeddings", "n_positions") or 128)
    writer.add_feed_forward_length(first(config, "intermediate_size", "n_inner") or 4 * width)
    if "num_key_value_heads" in config:
        writer.add_head_count_kv(config["num_key_value_heads"])
    if config.get("head_dim"):
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(first(config, "layer_norm_epsilon", "layer_norm_eps"))
    if "use_parallel_residual" in config:
        writer.add_parallel_residual(config["use_parallel_residual"])
    if config.get("num_local_experts"):
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
        writer.add_expert_feed_forward_length(config.get("moe_intermediate_size", config["intermediate_size"]))
        if name == "qwen3moe":
            writer.add_expert_weights_norm(config["norm_topk_prob"])
    if config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if rope := config.get("rope_parameters"):
        rope = rope.get("full_attention", rope)
        head_dim = config.get("head_dim") or width // heads
        writer.add_rope_dimension_count(int(rope.get("partial_rotary_factor", 1.0) * head_dim))
        writer.add_rope_freq_base(rope["rope_theta"])
        if rope["rope_type"] in ("linear", "yarn"):
            writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
            writer.add_rope_scaling_factor(rope["factor"])
        if "original_max_position_embeddings" in rope:
            writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def experts(name: str, key: str, weights: Floats) -> dict[str, Floats]:
    """Stacked experts under names that the table knows, gate and up apart; anything else as it is.

    gpt-oss has [experts, in, out], and gate and up in turns; the others [experts, out, in], and gate before up.
    """
    if key.endswith(".sinks"):
        return {f"{key}.weight": weights}
    module, found, part = key.rpartition("experts.")
    if not found:
        return {key: weights}
    kind = "bias" if part.endswith("_bias") else "weight"
    part = part.removesuffix("_bias")
    if name == "gpt-oss" and kind == "weight":
        weights = weights.swapaxes(1, 2)
    if part != "gate_up_proj":
        return {f"{module}experts.{part}.{kind}": weights}
    gate, up = (weights[:, 0::2], weights[:, 1::2]) if name == "gpt-oss" else np.split(weights, 2, axis=1)
    return {f"{module}experts.gate_proj.{kind}": gate, f"{module}experts.up_proj.{kind}": up}


def rearrange(name: str, key: str, weights: Floats, config: dict[str, Any]) -> Floats:
    """What converters do to some tensors."""
    if name == "gpt2" and key.split(".")[-2] in ("c_attn", "c_proj", "c_fc") and key.endswith("weight"):
        return weights.T
    if name in ("gptneox", "bloom") and ".query_key_value." in key:
        heads = first(config, "num_attention_heads", "n_head")
        return weights.reshape(heads, 3, -1, *weights.shape[1:]).swapaxes(0, 1).reshape(weights.shape)
    if name in ("llama", "smollm3") and ".q_proj." in key:
        return neighbours(weights, config["num_attention_heads"])
    if name in ("llama", "smollm3") and ".k_proj." in key:
        return neighbours(weights, config["num_key_value_heads"])
    if name in ("gemma2", "gemma3") and key.endswith("norm.weight"):
        return weights + 1
    return weights


def neighbours(weights: Floats, heads: int) -> Floats:
    """Rows of each head from rotary pairs half a head apart to pairs side by side."""
    return weights.reshape(heads, 2, -1, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def write_rope_factors(writer: gguf.GGUFWriter, name: str, config: dict[str, Any]) -> None:
    """Llama 3's and Phi-3's, which are tensors."""
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type") == "llama3":
        frequencies = rope["rope_theta"] ** -(np.arange(0, config["head_dim"], 2) / config["head_dim"])
        original, factor = rope["original_max_position_embeddings"], rope["factor"]
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        factors = []
        for wave in 2 * np.pi / frequencies:
            if wave < original / high:
                factors.append(1.0)
            elif wave > original / low:
                factors.append(factor)
            else:
                smooth = (original / wave - low) / (high - low)
                factors.append(1 / ((1 - smooth) / factor + smooth))
        writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    if rope.get("rope_type") == "longrope":
        stretch = config["max_position_embeddings"] / rope["original_max_position_embeddings"]
        scale = np.sqrt(1 + np.log(stretch) / np.log(rope["original_max_position_embeddings"]))
        writer.add_rope_scaling_attn_factors(float(scale))
        writer.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], np.float32))
