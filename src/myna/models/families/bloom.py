"""BLOOM; Le Scao et al. 2022 (https://arxiv.org/abs/2211.05100).

Positions are ALiBi's alone. Hugging Face's files keep q, k and v of one head together, as GPT-NeoX's do.
"""

from __future__ import annotations

from typing import Any

from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.weights import PerHead, Source

QUIRKS: dict[str, Any] = {
    "activation": "gelu_tanh",
    "gated_mlp": False,
    "qkv_bias": True,
    "output_bias": True,
    "mlp_bias": True,
    "embedding_norm": True,
    "alibi": True,
}
ALIASES = {
    "hidden_size": ("n_embed", "n_embd"),
    "num_attention_heads": ("n_head",),
    "num_hidden_layers": ("n_layer",),
    "max_position_embeddings": ("seq_length",),
    "intermediate_size": ("n_inner",),
}
TRAINED_CONTEXT = 2048


def from_gguf(file: ModelFile) -> ModelConfig:
    """The file says nothing of ALiBi: the architecture is enough."""
    return gguf.decoder_config(file, "bloom", norm="layer", rope=None, **QUIRKS)


def from_huggingface(file: ModelFile) -> ModelConfig:
    """Longer sequences than those of training are possible with ALiBi, but their length has to be said."""
    huggingface.expect(file, {"apply_residual_connection_post_layernorm": False})
    return huggingface.decoder_config(
        file,
        aliases=ALIASES,
        defaults={"max_position_embeddings": TRAINED_CONTEXT},
        norm="layer",
        theta=None,
        mlp_ratio=4,
        tied_embeddings=file.metadata.boolean("tie_word_embeddings", True),
        **QUIRKS,
    )


FUSED = "h.{}.self_attention.query_key_value"

WEIGHTS: dict[str, Source] = {
    "embedding": "word_embeddings.weight",
    "embedding_norm": "word_embeddings_layernorm.weight",
    "embedding_norm.bias": "word_embeddings_layernorm.bias",
    "output_norm": "ln_f.weight",
    "output_norm.bias": "ln_f.bias",
    "head": "lm_head.weight",
    "layers.{}.attention_norm": "h.{}.input_layernorm.weight",
    "layers.{}.attention_norm.bias": "h.{}.input_layernorm.bias",
    **{f"layers.{{}}.attention.{part}": PerHead(f"{FUSED}.weight", i, 3) for i, part in enumerate("qkv")},
    **{f"layers.{{}}.attention.{part}.bias": PerHead(f"{FUSED}.bias", i, 3) for i, part in enumerate("qkv")},
    "layers.{}.attention.output": "h.{}.self_attention.dense.weight",
    "layers.{}.attention.output.bias": "h.{}.self_attention.dense.bias",
    "layers.{}.mlp_norm": "h.{}.post_attention_layernorm.weight",
    "layers.{}.mlp_norm.bias": "h.{}.post_attention_layernorm.bias",
    "layers.{}.mlp.up": "h.{}.mlp.dense_h_to_4h.weight",
    "layers.{}.mlp.up.bias": "h.{}.mlp.dense_h_to_4h.bias",
    "layers.{}.mlp.down": "h.{}.mlp.dense_4h_to_h.weight",
    "layers.{}.mlp.down.bias": "h.{}.mlp.dense_4h_to_h.bias",
}

FAMILY = Family(
    gguf=Layout(from_gguf, gguf.WEIGHTS | gguf.FUSED_QKV),
    huggingface=Layout(from_huggingface, WEIGHTS, ignored=frozenset({"lm_head.weight"}), prefixes=("transformer.",)),
)
