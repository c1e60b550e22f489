"""GPT-J (Dolly v1); Wang and Komatsuzaki 2021 (https://github.com/kingoflolz/mesh-transformer-jax).

GGUF knows its name, but no program has written or read such files.
"""

from __future__ import annotations

from dataclasses import replace

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import AttentionConfig, ModelConfig, RopeConfig
from myna.models.families import huggingface
from myna.models.families.base import Family, Layout
from myna.models.families.gpt2 import ALIASES
from myna.models.weights import Source


def from_huggingface(file: ModelFile) -> ModelConfig:
    """One norm feeds attention and MLP; neighbouring pairs of each head's first dimensions turn."""
    config = huggingface.decoder_config(
        file,
        aliases=ALIASES,
        norm="layer",
        theta=None,
        mlp_ratio=4,
        tied_embeddings=file.metadata.boolean("tie_word_embeddings", False),
        gated_mlp=False,
        mlp_bias=True,
        head_bias=True,
        parallel_residual=True,
        shared_norm=True,
    )
    dims = file.metadata.integer("rotary_dim", config.head_dim, minimum=2, maximum=config.head_dim)
    if dims % 2:
        raise ModelFileError(file.path, f"rotary_dim is {dims}, expected an even number")
    return replace(config, attention=(AttentionConfig(RopeConfig(dims, 10_000.0, "interleaved")),) * config.layers)


WEIGHTS: dict[str, Source] = {
    "embedding": "wte.weight",
    "output_norm": "ln_f.weight",
    "output_norm.bias": "ln_f.bias",
    "head": "lm_head.weight",
    "head.bias": "lm_head.bias",
    "layers.{}.attention_norm": "h.{}.ln_1.weight",
    "layers.{}.attention_norm.bias": "h.{}.ln_1.bias",
    "layers.{}.attention.q": "h.{}.attn.q_proj.weight",
    "layers.{}.attention.k": "h.{}.attn.k_proj.weight",
    "layers.{}.attention.v": "h.{}.attn.v_proj.weight",
    "layers.{}.attention.output": "h.{}.attn.out_proj.weight",
    "layers.{}.mlp.up": "h.{}.mlp.fc_in.weight",
    "layers.{}.mlp.up.bias": "h.{}.mlp.fc_in.bias",
    "layers.{}.mlp.down": "h.{}.mlp.fc_out.weight",
    "layers.{}.mlp.down.bias": "h.{}.mlp.fc_out.bias",
}

FAMILY = Family(
    huggingface=Layout(
        from_huggingface,
        WEIGHTS,
        ignored=frozenset({"lm_head.weight", "h.*.attn.bias", "h.*.attn.masked_bias"}),  # the causal mask
        prefixes=("transformer.",),
    ),
)
