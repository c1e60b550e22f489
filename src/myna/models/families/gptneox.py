"""GPT-NeoX (Pythia, Dolly v2); Black et al. 2022 (https://arxiv.org/abs/2204.06745).

Hugging Face's files keep q, k and v of one head together, head after head; GGUF files all of q, then k, then v.
"""

from __future__ import annotations

from typing import Any

from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.weights import PerHead, Source

QUIRKS: dict[str, Any] = {"gated_mlp": False, "mlp_bias": True}


def from_gguf(file: ModelFile) -> ModelConfig:
    """The exact GELU is Pythia's; the format has no key for it."""
    return gguf.decoder_config(
        file,
        "gptneox",
        norm="layer",
        activation="gelu",
        rope="half",
        qkv_bias="blk.0.attn_qkv.bias" in file.tensors,
        output_bias="blk.0.attn_output.bias" in file.tensors,
        parallel_residual=file.metadata.boolean("gptneox.use_parallel_residual", True),
        **QUIRKS,
    )


def from_huggingface(file: ModelFile) -> ModelConfig:
    """A quarter of each head's dimensions turn, unless the file says otherwise."""
    bias = file.metadata.boolean("attention_bias", True)
    return huggingface.decoder_config(
        file,
        aliases={"layer_norm_epsilon": ("layer_norm_eps",)},
        norm="layer",
        share=0.25,
        tied_embeddings=file.metadata.boolean("tie_word_embeddings", False),
        qkv_bias=bias,
        output_bias=bias,
        parallel_residual=file.metadata.boolean("use_parallel_residual", True),
        **QUIRKS,
    )


FUSED = "layers.{}.attention.query_key_value"

WEIGHTS: dict[str, Source] = {
    "embedding": "embed_in.weight",
    "output_norm": "final_layer_norm.weight",
    "output_norm.bias": "final_layer_norm.bias",
    "head": "embed_out.weight",
    "layers.{}.attention_norm": "layers.{}.input_layernorm.weight",
    "layers.{}.attention_norm.bias": "layers.{}.input_layernorm.bias",
    **{f"layers.{{}}.attention.{part}": PerHead(f"{FUSED}.weight", i, 3) for i, part in enumerate("qkv")},
    **{f"layers.{{}}.attention.{part}.bias": PerHead(f"{FUSED}.bias", i, 3) for i, part in enumerate("qkv")},
    "layers.{}.attention.output": "layers.{}.attention.dense.weight",
    "layers.{}.attention.output.bias": "layers.{}.attention.dense.bias",
    "layers.{}.mlp_norm": "layers.{}.post_attention_layernorm.weight",
    "layers.{}.mlp_norm.bias": "layers.{}.post_attention_layernorm.bias",
    "layers.{}.mlp.up": "layers.{}.mlp.dense_h_to_4h.weight",
    "layers.{}.mlp.up.bias": "layers.{}.mlp.dense_h_to_4h.bias",
    "layers.{}.mlp.down": "layers.{}.mlp.dense_4h_to_h.weight",
    "layers.{}.mlp.down.bias": "layers.{}.mlp.dense_4h_to_h.bias",
}

FAMILY = Family(
    gguf=Layout(from_gguf, gguf.WEIGHTS | gguf.FUSED_QKV),
    huggingface=Layout(
        from_huggingface,
        WEIGHTS,
        ignored=frozenset(
            {"embed_out.weight", "*.attention.bias", "*.attention.masked_bias", "*.rotary_emb.inv_freq"}  # masks
        ),
        prefixes=("gpt_neox.",),
    ),
)
