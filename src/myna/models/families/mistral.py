"""Mistral 7B; Jiang et al. 2023 (https://arxiv.org/abs/2310.06825). Its GGUF files are of architecture ``llama``."""

from __future__ import annotations

from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import huggingface
from myna.models.families.base import Family
from myna.models.families.layers import windowed


def from_huggingface(file: ModelFile) -> ModelConfig:
    """Version 0.1 has a sliding window in every layer, later ones in none, or in those that ``layer_types`` names."""
    config = huggingface.decoder_config(file, tied_embeddings=file.metadata.boolean("tie_word_embeddings", False))
    window = huggingface.sliding_window(file, config.context)
    local = huggingface.windowed_layers(file, [True] * config.layers)
    return windowed(config, window, local)


FAMILY = Family(huggingface=huggingface.layout(from_huggingface))
