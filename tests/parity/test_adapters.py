"""LoRA adapters against PEFT, on tiny random weights: two of them and the model itself in one batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.numpy import load_file, save_file

from myna.errors import ModelFileError, MynaError, UnsupportedParameter
from myna.models.adapters import load_adapter
from tests.parity import models
from tests.parity.as_gguf import ARCHITECTURES, write_gguf
from tests.parity.runner import BLOCKS_EACH, Runner, relative_error

# What PEFT itself does with a Transformers that is newer than it, and what it says of our choices.
pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]

EXACT = 1e-4
TARGETS: dict[str, list[str]] = {
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "qwen2": ["q_proj", "v_proj"],
    "gemma2": ["k_proj", "o_proj", "up_proj"],
    "phi3": ["qkv_proj", "gate_up_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
    "gptneox": ["query_key_value", "dense_4h_to_h"],
    "gptj": ["q_proj", "k_proj", "fc_in"],
    "bloom": ["query_key_value", "dense"],
}
"""What PEFT changes in each: separate and fused projections, stored either way round."""

TEXTS = [[5, 9, 200, 31, 7, 7, 150], [14, 3, 88, 201, 9], [77, 5, 9, 200, 31, 12, 250, 6, 1]]


def write_adapter(name: str, directory: Path, **settings: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Save an adapter of random matrices with PEFT; the logits of the third text with it."""
    model = models.build(name)
    given = {"r": 4, "lora_alpha": 6, "target_modules": TARGETS[name], "fan_in_fan_out": name == "gpt2"} | settings
    adapted = peft.get_peft_model(model, peft.LoraConfig(**given))
    generator = torch.Generator().manual_seed(given["r"])
    with torch.no_grad():
        for key, weight in adapted.named_parameters():
            if "lora_" in key:
                weight.copy_(torch.randn(weight.shape, generator=generator) / 4)
    adapted.save_pretrained(directory)
    return models.expected_logits(adapted, TEXTS[2])


@pytest.mark.parametrize("kind", ["huggingface", "gguf"])
@pytest.mark.parametrize("name", TARGETS)
def test_two_adapters_and_the_model_itself_in_one_batch(tmp_path: Path, name: str, kind: str) -> None:
    model = models.build(name)
    if kind == "gguf":
        if model.config.model_type not in ARCHITECTURES:
            pytest.skip("no program reads GGUF files of this architecture")
        path = write_gguf(model, tmp_path / "model.gguf")
    else:
        path = models.save(model, tmp_path / "model")
    plain = models.expected_logits(model, TEXTS[2])
    expected = [
        write_adapter(name, tmp_path / "one"),
        write_adapter(name, tmp_path / "two", r=3, use_rslora=True, alpha_pattern={TARGETS[name][0]: 9}),
        plain,
    ]
    assert min(relative_error(logits, plain) for logits in expected[:2]) > 0.01, "the adapters change something"

    runner = Runner(path)
    for slot, adapter in enumerate(("one", "two")):
        runner.executor.set_adapter(slot, load_adapter(tmp_path / adapter, runner.config, kind))  # type: ignore[arg-type]
    length = len(TEXTS[2])
    runner.executor.forward(
        np.array(TEXTS[2] * 3, np.int32),
        np.arange(0, 3 * length + 1, length, dtype=np.int32),
        np.zeros(3, np.int32),
        np.arange(3 * BLOCKS_EACH, dtype=np.int32).reshape(3, BLOCKS_EACH),
        np.arange(3 * length, dtype=np.int32),
        np.array([0, 1, -1], np.int32),
    )
    for actual, logits in zip(np.split(runner.executor.logits(), 3), expected, strict=True):
        assert relative_error(actual, logits) < EXACT


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("adapter")
    write_adapter("llama", directory)
    return directory


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(models.save(models.build("llama"), tmp_path_factory.mktemp("model")))


REFUSED: list[tuple[dict[str, Any], type[MynaError], str]] = [
    ({"peft_type": "IA3"}, UnsupportedParameter, "of the type 'IA3'"),
    ({"use_dora": True}, UnsupportedParameter, "its use_dora is True"),
    ({"bias": "all"}, UnsupportedParameter, "its bias is 'all'"),
    ({"modules_to_save": ["lm_head"]}, UnsupportedParameter, "its modules_to_save is"),
    ({"init_lora_weights": "pissa_niter_4"}, UnsupportedParameter, "its init_lora_weights"),
    ({"r": -1}, ModelFileError, "its r is -1"),
    ({"lora_alpha": "x"}, ModelFileError, "its lora_alpha is 'x'"),
    ({"alpha_pattern": {"(a+)+$": 1}}, UnsupportedParameter, "keys of its alpha_pattern"),
    ({"alpha_pattern": {f"m{i}": 1 for i in range(5000)}}, UnsupportedParameter, "names of modules, at most 4096"),
    ({"alpha_pattern": ["q_proj"]}, UnsupportedParameter, "keys of its alpha_pattern"),
    ({"alpha_pattern": {"q_proj": None}}, ModelFileError, "its alpha_pattern of q_proj is None"),
]


@pytest.mark.parametrize(("settings", "kind", "message"), REFUSED)
def test_what_would_be_left_out_is_refused_by_name(
    tmp_path: Path, saved: Path, runner: Runner, settings: dict[str, Any], kind: type[MynaError], message: str
) -> None:
    described = json.loads((saved / "adapter_config.json").read_text()) | settings
    (tmp_path / "adapter_config.json").write_text(json.dumps(described))
    (tmp_path / "adapter_model.safetensors").write_bytes((saved / "adapter_model.safetensors").read_bytes())
    with pytest.raises(kind, match=message):
        load_adapter(tmp_path, runner.config, "huggingface")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("shape", "changes 95 x 96 weights, but this model has 96 x 96 there"),
        ("rank", "no two matrices of one rank"),
        ("module", "'model.layers.9.self_attn.q_proj' is none that can be changed"),
        ("embedding", "is no part of a LoRA adapter of linear layers"),
        ("half", "no two matrices of one rank"),
        ("nothing", "it has no tensors"),
    ],
)
def test_matrices_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, saved: Path, runner: Runner, broken: str, message: str
) -> None:
    tensors = load_file(saved / "adapter_model.safetensors")
    a, b = (f"base_model.model.model.layers.1.self_attn.q_proj.lora_{side}.weight" for side in "AB")
    match broken:
        case "shape":
            tensors[b] = tensors[b][1:]
        case "rank":
            tensors[b] = tensors[b][:, 1:].copy()
        case "module":
            for key in (a, b):
                tensors[key.replace("layers.1", "layers.9")] = tensors[key]
        case "embedding":
            tensors["base_model.model.model.embed_tokens.lora_embedding_A"] = tensors[a]
        case "half":
            del tensors[a]
        case "nothing":
            tensors = {}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_bytes((saved / "adapter_config.json").read_bytes())
    with pytest.raises(ModelFileError, match=message):
        load_adapter(tmp_path, runner.config, "huggingface")
