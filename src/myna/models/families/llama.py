"""LLaMA and what is built like it: SmolLM2, Vicuna, Alpaca, Llama 2 and 3.

Touvron et al. 2023 (https://arxiv.org/abs/2302.13971). Files of architecture ``llama`` also hold Mistral and Mixtral.
"""

from __future__ import annotations

from dataclasses import replace

from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.families.layers import windowed


def from_gguf(file: ModelFile) -> ModelConfig:
    """GGUF files store the rows of q and k permuted, so that rotary pairs are neighbours."""
    config = gguf.decoder_config(
        file,
        "llama",
        norm="rms",
        activation="silu",
        rope="interleaved",
        renormalise=True,
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
        output_bias="blk.0.attn_output.bias" in file.tensors,
        mlp_bias="blk.0.ffn_up.bias" in file.tensors,
    )
    return windowed(config, gguf.sliding_window(file, "llama", config.context))


def from_huggingface(file: ModelFile) -> ModelConfig:
    """``max_sequence_length`` is Vicuna's word for what linear scaling makes of the context."""
    bias = file.metadata.boolean("attention_bias", False)
    config = huggingface.decoder_config(
        file,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=file.metadata.boolean("mlp_bias", False),
        tied_embeddings=file.metadata.boolean("tie_word_embeddings", False),
    )
    return replace(config, context=max(config.context, file.metadata.integer("max_sequence_length", 0, maximum=2**26)))


FAMILY = Family(
    gguf=Layout(from_gguf, gguf.WEIGHTS, consumed=frozenset({gguf.ROPE_FACTORS})),
    huggingface=huggingface.layout(from_huggingface),
)
