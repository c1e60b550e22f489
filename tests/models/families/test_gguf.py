"""What GGUF files leave unsaid of an architecture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from myna.formats.base import Tensor
from myna.formats.jsonfile import flatten
from myna.models.config import ModelConfig
from myna.models.families import FAMILIES

KEYS = {
    "block_count": 6, "context_length": 64, "embedding_length": 96, "feed_forward_length": 128,
    "attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": 16, "attention.value_length": 16,
    "attention.layer_norm_rms_epsilon": 1e-6, "attention.layer_norm_epsilon": 1e-5,
}  # fmt: skip


def configured(name: str, **keys: Any) -> ModelConfig:
    layout = FAMILIES[name].gguf
    assert layout is not None
    path = Path("model.gguf")
    values = KEYS | {key.replace("__", "."): value for key, value in keys.items()}
    tensors = {"token_embd.weight": Tensor("token_embd.weight", "F32", (100, 96), 0, 0)}
    metadata = flatten(path, {f"{name}.{key}": value for key, value in values.items()})
    file: Any = SimpleNamespace(path=path, kind="gguf", metadata=metadata, tensors=tensors)
    config = layout.configure(file)
    assert isinstance(config, ModelConfig)
    return config


@pytest.mark.parametrize(("name", "layers"), [("gemma2", 46), ("gemma3", 62)])
def test_the_largest_gemmas_scale_scores_by_their_width(name: str, layers: int) -> None:
    assert configured(name).attention_scale == 0.25
    assert configured(name, block_count=layers).attention_scale == pytest.approx(24**-0.5)


def test_gemma_2_has_windows_and_caps_that_need_not_be_said() -> None:
    config = configured("gemma2", context_length=8192)
    assert [layer.window for layer in config.attention] == [4096, None] * 3
    assert (config.attention_softcap, config.logit_softcap) == (50.0, 30.0)


def test_gemma_3_without_a_window_has_one_rotary_base() -> None:
    whole = configured("gemma3", rope__freq_base=1e6)
    assert {layer.rope and layer.rope.base for layer in whole.attention} == {1e6}
    local = configured("gemma3", rope__freq_base=1e6, attention__sliding_window=32)
    assert [layer.rope and layer.rope.base for layer in local.attention] == [1e4] * 5 + [1e6]
    assert [layer.window for layer in local.attention] == [32] * 5 + [None]


def test_every_fourth_layer_of_smollm3_has_no_positions() -> None:
    assert [layer.rope is None for layer in configured("smollm3").attention] == [False] * 3 + [True] + [False] * 2


def test_gpt_neox_is_parallel_unless_it_says_otherwise() -> None:
    assert configured("gptneox").parallel_residual
    assert not configured("gptneox", use_parallel_residual=False).parallel_residual


def test_positions_of_bloom_are_alibis_alone() -> None:
    config = configured("bloom")
    assert config.alibi
    assert {layer.rope for layer in config.attention} == {None}
