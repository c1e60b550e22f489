"""LoRA adapters for the tiny model of `tests.synthetic`, as PEFT lays them out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


def write_adapter(directory: Path, *, seed: int = 1, width: int = 64, rank: int = 4) -> Path:
    """Random changes, large enough to change the text, to the queries and what attention gives."""
    random = np.random.default_rng(seed)
    directory.mkdir(parents=True)
    described = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": ["q_proj", "o_proj"]}
    (directory / "adapter_config.json").write_text(json.dumps(described))
    tensors = {
        f"base_model.model.model.layers.{layer}.self_attn.{name}.lora_{side}.weight": random.standard_normal(
            (rank, width) if side == "A" else (width, rank), dtype=np.float32
        )
        for layer in range(2)
        for name in ("q_proj", "o_proj")
        for side in "AB"
    }
    save_file(tensors, directory / "adapter_model.safetensors")
    return directory
