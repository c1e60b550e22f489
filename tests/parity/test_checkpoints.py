"""Checkpoints whose tensors have other names than today's, or tensors besides, hold the same models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.parity import models
from tests.parity.cases import Case, build_case, whole
from tests.parity.runner import Runner, relative_error

State = dict[str, NDArray[Any]]
EXACT = 2e-5


def bare(state: State) -> State:
    """As saved from the model without its head."""
    return {name.removeprefix("transformer."): weights for name, weights in state.items()}


def masked(prefix: str, attention: str) -> Callable[[State], State]:
    """With the causal masks that early checkpoints carry along."""

    def add(state: State) -> State:
        extra = {
            f"{prefix}.{layer}.{attention}.{name}": values
            for layer in range(2)
            for name, values in (("bias", np.ones((1, 1, 8, 8), np.bool_)), ("masked_bias", np.ones(1, np.float32)))
        }
        return state | extra

    return add


def with_frequencies(state: State) -> State:
    """With rotary frequencies that were saved although they can be computed."""
    return state | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": np.ones(16, np.float32) for i in range(2)}


def with_head(embedding: str) -> Callable[[State], State]:
    """With the head written out that is the embedding."""
    return lambda state: state | {"lm_head.weight": state[embedding]}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("gpt2", bare),
        ("gpt2", masked("transformer.h", "attn")),
        ("gpt2", with_head("transformer.wte.weight")),
        ("gptj", masked("transformer.h", "attn")),
        ("gptneox", masked("gpt_neox.layers", "attention")),
        ("bloom", bare),
        ("llama", with_frequencies),
        ("qwen3", with_head("model.embed_tokens.weight")),
    ],
)
def test_other_names_and_more_of_them(tmp_path: Path, name: str, change: Callable[[State], State]) -> None:
    case = build_case(name, tmp_path)
    path = case.files["huggingface"] / "model.safetensors"
    state = change(load_file(path))
    save_file(state, path)
    assert whole(Runner(case.files["huggingface"]), case) < EXACT


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_read_to_the_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    model = models.build("gpt2").to(dtype)  # transposed and cut apart while it is read
    path = models.save(model, tmp_path / "half")
    text = list(range(3, 60))
    assert relative_error(Runner(path).whole(text), models.expected_logits(model.float(), text)) < EXACT


@pytest.mark.parametrize(
    "renamed",
    [
        lambda name: name.replace("model.", "language_model.model.", 1),
        lambda name: name.replace("model.", "model.language_model.", 1),
    ],
    ids=["as published", "as of today"],
)
def test_the_words_of_a_model_that_sees_pictures(tmp_path: Path, renamed: Callable[[str], str]) -> None:
    case = seeing_case(tmp_path, renamed)
    assert whole(Runner(case.files["huggingface"]), case) < EXACT


def seeing_case(directory: Path, renamed: Callable[[str], str]) -> Case:
    """Gemma 3 with a tower for pictures beside it, of which a tensor is enough."""
    case = build_case("gemma3", directory)
    path = case.files["huggingface"]
    state = {renamed(name): weights for name, weights in load_file(path / "model.safetensors").items()}
    state["vision_tower.vision_model.embeddings.position_embedding.weight"] = np.ones((4, 8), np.float32)
    state["multi_modal_projector.mm_input_projection_weight"] = np.ones((8, 96), np.float32)
    save_file(state, path / "model.safetensors")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": config}))
    return case
