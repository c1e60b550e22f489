"""What GGUF files of all decoders have in common: keys, names of tensors, how rotary scaling is told.

Keys and names are those of the format's own registry (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

from __future__ import annotations

import struct
from typing import Any

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import Activation, AttentionConfig, ExpertsConfig, ModelConfig, Norm, RopeConfig, RopeLayout
from myna.models.families.rotary import linear_factors, yarn_factors, yarn_scale
from myna.models.weights import Either, Flat, QueryKeyValue, Source, Stacked

ROPE_FACTORS = "rope_freqs.weight"
EPSILON: dict[Norm, str] = {"rms": "layer_norm_rms_epsilon", "layer": "layer_norm_epsilon"}

LINEARS = {
    "attention.q": "attn_q",
    "attention.k": "attn_k",
    "attention.v": "attn_v",
    "attention.output": "attn_output",
    "mlp.gate": "ffn_gate",
    "mlp.up": "ffn_up",
    "mlp.down": "ffn_down",
    "mlp.router": "ffn_gate_inp",
    "attention_norm": "attn_norm",
    "mlp_norm": "ffn_norm",
}
"""What has a weight and, in some families, a bias."""

WEIGHTS: dict[str, Source] = {
    "embedding": "token_embd.weight",
    "embedding_norm": "token_embd_norm.weight",
    "embedding_norm.bias": "token_embd_norm.bias",
    "position_embedding": "position_embd.weight",
    "output_norm": "output_norm.weight",
    "output_norm.bias": "output_norm.bias",
    "head": "output.weight",
    "head.bias": "output.bias",
    **{f"layers.{{}}.{weight}": f"blk.{{}}.{name}.weight" for weight, name in LINEARS.items()},
    **{f"layers.{{}}.{weight}.bias": f"blk.{{}}.{name}.bias" for weight, name in LINEARS.items()},
    "layers.{}.attention.q_norm": "blk.{}.attn_q_norm.weight",
    "layers.{}.attention.k_norm": "blk.{}.attn_k_norm.weight",
    "layers.{}.attention.sinks": "blk.{}.attn_sinks.weight",
    "layers.{}.attention_post_norm": "blk.{}.post_attention_norm.weight",
    "layers.{}.mlp_post_norm": "blk.{}.post_ffw_norm.weight",
    **{
        f"layers.{{}}.mlp.experts.{part}": Either(
            f"blk.{{}}.ffn_{part}.0.weight",  # Mixtral's first files have the experts one by one
            Stacked(f"blk.{{}}.ffn_{part}.{{expert}}.weight"),
            Flat(f"blk.{{}}.ffn_{part}_exps.weight"),
        )
        for part in ("gate", "up", "down")
    },
    **{
        f"layers.{{}}.mlp.experts.{part}.bias": Flat(f"blk.{{}}.ffn_{part}_exps.bias", vector=True)
        for part in ("gate", "up", "down")
    },
}

FUSED_QKV: dict[str, Source] = {
    f"layers.{{}}.attention.{part}{bias}": QueryKeyValue(f"blk.{{}}.attn_qkv.{bias[1:] or 'weight'}", part)
    for part in ("q", "k", "v")
    for bias in ("", ".bias")
}
"""Instead of three: one matrix of blocks q|k|v, into which whoever converted has brought other orders."""


def decoder_config(
    file: ModelFile,
    architecture: str,
    *,
    norm: Norm,
    activation: Activation,
    rope: RopeLayout | None,
    renormalise: bool | None = None,
    truncate: bool = True,
    **quirks: Any,
) -> ModelConfig:
    """A decoder as the keys of ``architecture`` describe it.

    Args:
        file: the file.
        architecture: what its keys begin with.
        norm: kind of the norms, which the format takes for known of an architecture.
        activation: the MLP's, likewise.
        rope: which rotary pairs turn together; None: the model has no rotary positions.
        renormalise: how experts are weighed (see `ExpertsConfig`); None: the architecture has none.
        truncate: whether YaRN's ramp is widened to whole pairs, for which there is no key (see `yarn_factors`).
        quirks: further fields of `ModelConfig`, or other values than the keys say.

    Raises:
        ModelFileError: naming the key that is missing, impossible or not supported.
    """
    read = file.metadata
    if not read.boolean(f"{architecture}.attention.causal", True):
        raise ModelFileError(
            file.path, f"a decoder that sees the future ({architecture}.attention.causal) is not supported"
        )
    heads = read.integer(f"{architecture}.attention.head_count", minimum=1, maximum=1024)
    kv_heads = read.integer(f"{architecture}.attention.head_count_kv", heads, minimum=1, maximum=heads)
    if heads % kv_heads:
        raise ModelFileError(file.path, f"{heads} attention heads cannot share {kv_heads} KV heads evenly")
    width = read.integer(f"{architecture}.embedding_length", minimum=1, maximum=2**20)
    head_dim = read.integer(f"{architecture}.attention.key_length", width // heads, minimum=2, maximum=1024)
    if read.integer(f"{architecture}.attention.value_length", head_dim) != head_dim:
        raise ModelFileError(file.path, "keys and values of different length are not supported")
    layers = read.integer(f"{architecture}.block_count", minimum=1, maximum=1024)
    context = read.integer(f"{architecture}.context_length", minimum=1, maximum=2**26)
    turned = None if rope is None else rope_config(file, architecture, head_dim, rope, truncate)
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise ModelFileError(file.path, "tensor 'token_embd.weight' is missing")
    fields: dict[str, Any] = {
        "architecture": architecture,
        "width": width,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "mlp_width": read.integer(f"{architecture}.feed_forward_length", minimum=1, maximum=2**22),
        "vocab_size": read.integer(f"{architecture}.vocab_size", embedding.shape[0], minimum=1, maximum=2**24),
        "context": context,
        "attention": (AttentionConfig(turned),) * layers,
        "norm": norm,
        "norm_epsilon": read.number(f"{architecture}.attention.{EPSILON[norm]}", minimum=1e-12, maximum=1.0),
        "activation": activation,
        "tied_embeddings": "output.weight" not in file.tensors,
        "experts": experts_config(file, architecture, renormalise),
    }
    return ModelConfig(**(fields | quirks))


def sliding_window(file: ModelFile, architecture: str, context: int, default: int = 0) -> int | None:
    """How many tokens back a windowed layer sees; None where that is no less than the whole context."""
    window = file.metadata.integer(f"{architecture}.attention.sliding_window", default, maximum=2**30)
    return window if 0 < window < context else None


def experts_config(file: ModelFile, architecture: str, renormalise: bool | None) -> ExpertsConfig | None:
    """The mixture of experts, if there is one."""
    count = file.metadata.integer(f"{architecture}.expert_count", 0, maximum=1024)
    if count == 0:
        return None
    if renormalise is None:
        raise ModelFileError(
            file.path, f"a mixture of experts ({architecture}.expert_count is {count}) is not supported in this family"
        )
    chosen = file.metadata.integer(f"{architecture}.expert_used_count", minimum=1, maximum=count)
    return ExpertsConfig(count, chosen, renormalise)


def rope_config(
    file: ModelFile, architecture: str, head_dim: int, layout: RopeLayout, truncate: bool = True
) -> RopeConfig:
    """How rotary positions turn, from their keys and, if there is one, the tensor of factors."""
    read, key = file.metadata, f"{architecture}.rope"
    dims = read.integer(f"{key}.dimension_count", head_dim, minimum=2, maximum=head_dim)
    if dims % 2:
        raise ModelFileError(file.path, f"{key}.dimension_count is {dims}, expected an even number")
    base = read.number(f"{key}.freq_base", 10_000.0, minimum=2.0, maximum=1e12)
    if ROPE_FACTORS in file.tensors:
        return RopeConfig(dims, base, layout, rope_factors(file, ROPE_FACTORS, dims // 2))
    old = f"{key}.scale_linear"  # of files from before there were several kinds
    factor_key = old if old in read else f"{key}.scaling.factor"
    match read.string(f"{key}.scaling.type", "linear" if factor_key in read else "none"):
        case "none":
            return RopeConfig(dims, base, layout)
        case "linear":
            factor = read.number(factor_key, minimum=1e-6, maximum=1e6)
            return RopeConfig(dims, base, layout, linear_factors(dims, factor))
        case "yarn":
            factor = read.number(f"{key}.scaling.factor", minimum=1.0, maximum=1e6)
            original = read.integer(f"{key}.scaling.original_context_length", minimum=2, maximum=2**26)
            fast = read.number(f"{key}.scaling.yarn_beta_fast", 32.0, minimum=1e-3, maximum=1e6)
            slow = read.number(f"{key}.scaling.yarn_beta_slow", 1.0, minimum=1e-3, maximum=1e6)
            factors = yarn_factors(
                dims, base, factor=factor, original=original, fast=fast, slow=slow, truncate=truncate
            )
            return RopeConfig(dims, base, layout, factors, yarn_scale(factor))
        case scaling:
            raise ModelFileError(file.path, f"rotary scaling {scaling!r} ({key}.scaling.type) is not supported")


def rope_factors(file: ModelFile, name: str, frequencies: int) -> tuple[float, ...]:
    """What divides each frequency, from a tensor of the file."""
    tensor = file.tensors.get(name)
    if tensor is None:
        raise ModelFileError(file.path, f"tensor {name!r} is missing")
    if tensor.type != "F32" or tensor.shape != (frequencies,):
        raise ModelFileError(
            file.path, f"tensor {name!r} is {tensor.type} of shape {list(tensor.shape)}, expected F32 [{frequencies}]"
        )
    with file.read(tensor) as data:
        factors = struct.unpack(f"<{frequencies}f", data)
    if not all(1e-6 < factor < 1e6 for factor in factors):
        raise ModelFileError(file.path, f"tensor {name!r} holds factors that are not positive and finite")
    return factors
