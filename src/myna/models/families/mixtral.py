"""Mixtral 8x7B and 8x22B; Jiang et al. 2024 (https://arxiv.org/abs/2401.04088).

Mistral with eight experts in place of each MLP. Its GGUF files are of architecture ``llama``.
"""

from __future__ import annotations

from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import huggingface
from myna.models.families.base import Family
from myna.models.families.experts import read_experts
from myna.models.families.layers import windowed
from myna.models.weights import Source, Stacked

MIXTURE = "layers.{}.block_sparse_moe"

WEIGHTS: dict[str, Source] = huggingface.WEIGHTS | {
    "layers.{}.mlp.router": f"{MIXTURE}.gate.weight",
    "layers.{}.mlp.experts.gate": Stacked(f"{MIXTURE}.experts.{{expert}}.w1.weight"),
    "layers.{}.mlp.experts.up": Stacked(f"{MIXTURE}.experts.{{expert}}.w3.weight"),
    "layers.{}.mlp.experts.down": Stacked(f"{MIXTURE}.experts.{{expert}}.w2.weight"),
}


def from_huggingface(file: ModelFile) -> ModelConfig:
    """The shares of the chosen experts are a softmax over these alone."""
    config = huggingface.decoder_config(
        file,
        theta=1e6,
        experts=read_experts(file, renormalise=True),
        tied_embeddings=file.metadata.boolean("tie_word_embeddings", False),
    )
    return windowed(config, huggingface.sliding_window(file, config.context))


FAMILY = Family(huggingface=huggingface.layout(from_huggingface, WEIGHTS))
