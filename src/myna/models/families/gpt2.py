"""GPT-2; Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".

Hugging Face's files keep its linears as [in, out] (Conv1D) and q, k and v in one of them; GGUF files turn them around.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.weights import QueryKeyValue, Source, Transposed

ALIASES = {
    "hidden_size": ("n_embd",),
    "num_attention_heads": ("n_head",),
    "num_hidden_layers": ("n_layer",),
    "max_position_embeddings": ("n_positions", "n_ctx"),
    "intermediate_size": ("n_inner",),
    "hidden_act": ("activation_function",),
}
QUIRKS: dict[str, Any] = {"gated_mlp": False, "qkv_bias": True, "output_bias": True, "mlp_bias": True}


def from_gguf(file: ModelFile) -> ModelConfig:
    """GELU is the tanh approximation, always."""
    config = gguf.decoder_config(file, "gpt2", norm="layer", activation="gelu_tanh", rope=None, **QUIRKS)
    return replace(config, learned_positions=config.context)


def from_huggingface(file: ModelFile) -> ModelConfig:
    """Also of configurations that OpenAI's were first converted to, which say ``n_ctx``."""
    huggingface.expect(
        file, {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
    )
    config = huggingface.decoder_config(
        file,
        aliases=ALIASES,
        norm="layer",
        theta=None,
        mlp_ratio=4,
        tied_embeddings=file.metadata.boolean("tie_word_embeddings", True),
        **QUIRKS,
    )
    return replace(config, learned_positions=config.context)


WEIGHTS: dict[str, Source] = {
    "embedding": "wte.weight",
    "position_embedding": "wpe.weight",
    "output_norm": "ln_f.weight",
    "output_norm.bias": "ln_f.bias",
    "head": "lm_head.weight",
    "layers.{}.attention_norm": "h.{}.ln_1.weight",
    "layers.{}.attention_norm.bias": "h.{}.ln_1.bias",
    "layers.{}.attention.q": QueryKeyValue(Transposed("h.{}.attn.c_attn.weight"), "q"),
    "layers.{}.attention.k": QueryKeyValue(Transposed("h.{}.attn.c_attn.weight"), "k"),
    "layers.{}.attention.v": QueryKeyValue(Transposed("h.{}.attn.c_attn.weight"), "v"),
    "layers.{}.attention.q.bias": QueryKeyValue("h.{}.attn.c_attn.bias", "q"),
    "layers.{}.attention.k.bias": QueryKeyValue("h.{}.attn.c_attn.bias", "k"),
    "layers.{}.attention.v.bias": QueryKeyValue("h.{}.attn.c_attn.bias", "v"),
    "layers.{}.attention.output": Transposed("h.{}.attn.c_proj.weight"),
    "layers.{}.attention.output.bias": "h.{}.attn.c_proj.bias",
    "layers.{}.mlp_norm": "h.{}.ln_2.weight",
    "layers.{}.mlp_norm.bias": "h.{}.ln_2.bias",
    "layers.{}.mlp.up": Transposed("h.{}.mlp.c_fc.weight"),
    "layers.{}.mlp.up.bias": "h.{}.mlp.c_fc.bias",
    "layers.{}.mlp.down": Transposed("h.{}.mlp.c_proj.weight"),
    "layers.{}.mlp.down.bias": "h.{}.mlp.c_proj.bias",
}

FAMILY = Family(
    gguf=Layout(from_gguf, gguf.WEIGHTS | gguf.FUSED_QKV),
    huggingface=Layout(
        from_huggingface,
        WEIGHTS,
        ignored=frozenset({"lm_head.weight", "h.*.attn.bias", "h.*.attn.masked_bias"}),  # the causal mask
        prefixes=("transformer.",),
    ),
)
