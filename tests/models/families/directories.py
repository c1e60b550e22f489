"""Hugging Face directories that hold a configuration and next to no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from myna.formats import open_model
from myna.models.config import ModelConfig
from myna.models.families import layout_of

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 4,
    "intermediate_size": 128, "max_position_embeddings": 256, "vocab_size": 100, "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
}  # fmt: skip
"""The keys that no file of Llama's kind leaves out; other families use these names too."""


def configured(directory: Path, keys: Mapping[str, Any], base: Mapping[str, Any] = LLAMA) -> ModelConfig:
    """What is made of a config.json; None removes a key of ``base``."""
    (directory / "config.json").write_text(json.dumps({**base, **keys}))
    save_file({"unused": np.zeros(1, np.float32)}, directory / "model.safetensors")
    with closing(open_model(directory)) as file:
        config = layout_of(file).configure(file)
    assert isinstance(config, ModelConfig)
    return config
