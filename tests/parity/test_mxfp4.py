"""gpt-oss as it is published: experts packed in MXFP4, which Transformers unpacks with its own code."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import GptOssForCausalLM
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from tests.parity import models
from tests.parity.as_gguf import write_gguf
from tests.parity.runner import Runner, relative_error
from tests.quantised import random_rows

PROJECTIONS = ("gate_up_proj", "down_proj")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GptOssForCausalLM]:
    """A directory with random codes and scales, and the model of what Transformers reads them as."""
    model = models.build("gpt-oss")
    directory = models.save(model, tmp_path_factory.mktemp("packed"))
    generator = torch.Generator().manual_seed(3)
    state = {name: weight.clone() for name, weight in model.state_dict().items()}
    for name in [name for name in state if name.endswith(PROJECTIONS)]:
        experts, columns, rows = state.pop(name).shape
        blocks = torch.randint(256, (experts, rows, columns // 32, 16), dtype=torch.uint8, generator=generator)
        scales = torch.randint(120, 125, blocks.shape[:-1], dtype=torch.uint8, generator=generator)
        state[f"{name}_blocks"], state[f"{name}_scales"] = blocks, scales
        unpacked = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        model.get_parameter(name).data.copy_(unpacked)
    save_file(state, directory / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}
    (directory / "config.json").write_text(json.dumps(config))
    return directory, model


def test_packed_experts_are_read_exactly(packed: tuple[Path, GptOssForCausalLM]) -> None:
    directory, model = packed
    ids = np.random.default_rng(7).integers(0, models.VOCABULARY, 61).tolist()
    assert relative_error(Runner(directory).whole(ids), models.expected_logits(model, ids)) < 1e-4


def test_what_they_become_is_no_less_exact(packed: tuple[Path, GptOssForCausalLM]) -> None:
    """MXFP4 is kept in 8 bits, which hold it exactly: what is left is the rounding of activations."""
    directory, model = packed
    ids = np.random.default_rng(7).integers(0, models.VOCABULARY, 61).tolist()
    expected = models.expected_logits(model, ids)
    errors = np.abs(Runner(directory, "auto").whole(ids) - expected).max(-1) / np.abs(expected).max()
    assert np.median(errors) < 3e-2


def test_gguf_files_with_packed_experts_agree(tmp_path: Path) -> None:
    model, random = models.build("gpt-oss"), np.random.default_rng(4)
    blocks = {}
    for layer in range(model.config.num_hidden_layers):
        for part in PROJECTIONS:
            parameter = model.get_parameter(f"model.layers.{layer}.mlp.experts.{part}")
            experts, columns, rows = parameter.shape  # [experts, in, out]
            packed = random_rows("MXFP4", experts * rows, columns, random, largest=0.5)
            unpacked = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.MXFP4)
            parameter.data.copy_(torch.from_numpy(unpacked.reshape(experts, rows, columns)).swapaxes(1, 2))
            packed = packed.reshape(experts, rows, -1)
            if part == "down_proj":
                blocks[f"blk.{layer}.ffn_down_exps.weight"] = packed
            else:
                blocks[f"blk.{layer}.ffn_gate_exps.weight"] = np.ascontiguousarray(packed[:, 0::2])
                blocks[f"blk.{layer}.ffn_up_exps.weight"] = np.ascontiguousarray(packed[:, 1::2])
    ids = random.integers(0, models.VOCABULARY, 61).tolist()
    runner = Runner(write_gguf(model, tmp_path / "model.gguf", mxfp4=blocks))
    assert relative_error(runner.whole(ids), models.expected_logits(model, ids)) < 1e-4
