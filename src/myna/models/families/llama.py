"""LLaMA and what is built like it: SmolLM2, Mistral, Vicuna, Alpaca, Llama 3.

Touvron et al. 2023 (https://arxiv.org/abs/2302.13971). GGUF files of this family store the rows of q and k permuted,
so that rotary pairs are neighbours: hence the interleaved layout.
"""

from __future__ import annotations

import struct

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import AttentionConfig, ModelConfig, RopeConfig
from myna.models.families.base import Family, Layout

ROPE_FACTORS = "rope_freqs.weight"

WEIGHTS = {
    "embedding": "token_embd.weight",
    "output_norm": "output_norm.weight",
    "head": "output.weight",
    "layers.{}.attention_norm": "blk.{}.attn_norm.weight",
    "layers.{}.attention.q": "blk.{}.attn_q.weight",
    "layers.{}.attention.k": "blk.{}.attn_k.weight",
    "layers.{}.attention.v": "blk.{}.attn_v.weight",
    "layers.{}.attention.output": "blk.{}.attn_output.weight",
    "layers.{}.mlp_norm": "blk.{}.ffn_norm.weight",
    "layers.{}.mlp.gate": "blk.{}.ffn_gate.weight",
    "layers.{}.mlp.up": "blk.{}.ffn_up.weight",
    "layers.{}.mlp.down": "blk.{}.ffn_down.weight",
}


def configure(file: ModelFile) -> ModelConfig:
    """The file's `ModelConfig`. Raises ModelFileError naming the key that is missing, impossible or not supported."""
    read = file.metadata
    heads = read.integer("llama.attention.head_count", minimum=1, maximum=1024)
    kv_heads = read.integer("llama.attention.head_count_kv", heads, minimum=1, maximum=heads)
    if heads % kv_heads:
        raise ModelFileError(file.path, f"{heads} attention heads cannot share {kv_heads} KV heads evenly")
    width = read.integer("llama.embedding_length", minimum=1, maximum=2**20)
    head_dim = read.integer("llama.attention.key_length", width // heads, minimum=2, maximum=1024)
    if read.integer("llama.attention.value_length", head_dim) != head_dim:
        raise ModelFileError(file.path, "keys and values of different length are not supported")
    if read.integer("llama.expert_count", 0):
        raise ModelFileError(file.path, "a mixture of experts (llama.expert_count) is not supported")
    if read.integer("llama.attention.sliding_window", 0):
        raise ModelFileError(file.path, "sliding-window attention (llama.attention.sliding_window) is not supported")
    embedding = file.tensors.get(WEIGHTS["embedding"])
    if embedding is None:
        raise ModelFileError(file.path, f"tensor {WEIGHTS['embedding']!r} is missing")
    layers = read.integer("llama.block_count", minimum=1, maximum=1024)
    return ModelConfig(
        architecture="llama",
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        mlp_width=read.integer("llama.feed_forward_length", minimum=1, maximum=2**22),
        vocab_size=read.integer("llama.vocab_size", embedding.shape[0], minimum=1, maximum=2**24),
        context=read.integer("llama.context_length", minimum=1, maximum=2**26),
        attention=(AttentionConfig(_rope(file, head_dim)),) * layers,
        norm="rms",
        norm_epsilon=read.number("llama.attention.layer_norm_rms_epsilon", minimum=1e-12, maximum=1.0),
        activation="silu",
        tied_embeddings=WEIGHTS["head"] not in file.tensors,
    )


def _rope(file: ModelFile, head_dim: int) -> RopeConfig:
    read = file.metadata
    dims = read.integer("llama.rope.dimension_count", head_dim, minimum=2, maximum=head_dim)
    if dims % 2:
        raise ModelFileError(file.path, f"llama.rope.dimension_count is {dims}, expected an even number")
    base = read.number("llama.rope.freq_base", 10_000.0, minimum=1.0, maximum=1e12)
    return RopeConfig(dims, base, "interleaved", _frequency_factors(file, dims // 2))


def _frequency_factors(file: ModelFile, frequencies: int) -> tuple[float, ...] | None:
    """What divides each frequency: Llama 3.1's own list, or one factor for all (linear scaling)."""
    tensor = file.tensors.get(ROPE_FACTORS)
    if tensor is not None:
        if tensor.type != "F32" or tensor.shape != (frequencies,):
            raise ModelFileError(
                file.path,
                f"tensor {ROPE_FACTORS!r} is {tensor.type} of shape {list(tensor.shape)}, expected F32 [{frequencies}]",
            )
        with file.read(tensor) as data:
            factors = struct.unpack(f"<{frequencies}f", data)
        if not all(1e-6 < factor < 1e6 for factor in factors):
            raise ModelFileError(file.path, f"tensor {ROPE_FACTORS!r} holds factors that are not positive and finite")
        return factors
    scaling = file.metadata.string("llama.rope.scaling.type", "none")
    if scaling == "none":
        return None
    if scaling == "linear":
        factor = file.metadata.number("llama.rope.scaling.factor", minimum=1e-6, maximum=1e6)
        return (factor,) * frequencies
    raise ModelFileError(file.path, f"rotary scaling {scaling!r} (llama.rope.scaling.type) is not supported")


FAMILY = Family(gguf=Layout(configure, WEIGHTS, consumed=frozenset({ROPE_FACTORS})))
