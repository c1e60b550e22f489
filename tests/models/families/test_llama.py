from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from myna.errors import ModelFileError
from myna.formats import GGUFFile
from myna.models.config import AttentionConfig, ExpertsConfig, ModelConfig, RopeConfig
from myna.models.families import FAMILIES, layout_of
from tests.synthetic import write_model


def configured(tmp_path: Path, **shape: Any) -> ModelConfig:
    with GGUFFile(write_model(tmp_path / "model.gguf", layers=1, **shape)) as file:
        return layout_of(file).configure(file)


def test_the_default_models_configuration(default_model: Path) -> None:
    with GGUFFile(default_model) as file:
        assert layout_of(file).configure(file) == ModelConfig(
            architecture="llama",
            width=576,
            heads=9,
            kv_heads=3,
            head_dim=64,
            mlp_width=1536,
            vocab_size=49152,
            context=8192,
            norm="rms",
            norm_epsilon=struct.unpack("<f", struct.pack("<f", 1e-5))[0],
            activation="silu",
            attention=(AttentionConfig(RopeConfig(64, 100_000.0, "interleaved")),) * 30,
            tied_embeddings=True,
        )


def test_an_output_matrix_unties_the_embeddings(tmp_path: Path) -> None:
    assert not configured(tmp_path, tied=False).tied_embeddings


@pytest.mark.parametrize(
    "keys",
    [
        {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0},
        {"llama.rope.scaling.factor": 4.0},
        {"llama.rope.scale_linear": 4.0},
    ],
    ids=["as of today", "without its kind", "as of early files"],
)
def test_linear_rope_scaling_divides_every_frequency(tmp_path: Path, keys: dict[str, Any]) -> None:
    assert configured(tmp_path, metadata=keys).attention[0].rope == RopeConfig(16, 1e4, "interleaved", (4.0,) * 8)


def test_yarn_scales_frequencies_and_scores(tmp_path: Path) -> None:
    keys = {"type": "yarn", "factor": 4.0, "original_context_length": 128}
    rope = configured(tmp_path, metadata={f"llama.rope.scaling.{key}": value for key, value in keys.items()})
    turned = rope.attention[0].rope
    assert turned is not None
    assert turned.factors is not None
    assert (turned.factors[0], turned.factors[-1]) == (1.0, 4.0)
    assert turned.scale == pytest.approx(0.1 * math.log(4) + 1)


@pytest.mark.parametrize(("window", "seen"), [(0, None), (64, 64), (512, None)])
def test_a_sliding_window_counts_where_it_is_shorter_than_the_context(
    tmp_path: Path, window: int, seen: int | None
) -> None:
    config = configured(tmp_path, metadata={"llama.attention.sliding_window": window})
    assert config.attention[0].window == seen


def test_a_mixture_of_experts_weighs_the_chosen_ones(tmp_path: Path) -> None:
    config = configured(tmp_path, metadata={"llama.expert_count": 8, "llama.expert_used_count": 2})
    assert config.experts == ExpertsConfig(8, 2, renormalise=True)


def with_rope_factors(path: Path, factors: list[float]) -> Path:
    """A file that has frequency factors as Llama 3.1's do, and nothing else that costs space."""
    writer = gguf.GGUFWriter(path, "llama")
    sizes = {"block_count": 1, "context_length": 8, "embedding_length": 8, "feed_forward_length": 8}
    for key, value in (sizes | {"attention.head_count": 2}).items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_tensor("token_embd.weight", np.zeros((4, 8), np.float32))
    writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_rope_factors_are_read_from_their_tensor(tmp_path: Path) -> None:
    with GGUFFile(with_rope_factors(tmp_path / "model.gguf", [1.0, 8.0])) as file:
        assert layout_of(file).configure(file).attention[0].rope == RopeConfig(4, 1e4, "interleaved", (1.0, 8.0))


@pytest.mark.parametrize("factors", [[1.0], [1.0, 2.0, 3.0], [1.0, 0.0], [1.0, float("nan")]])
def test_impossible_rope_factors_are_refused(tmp_path: Path, factors: list[float]) -> None:
    with (
        GGUFFile(with_rope_factors(tmp_path / "model.gguf", factors)) as file,
        pytest.raises(ModelFileError, match=r"tensor 'rope_freqs\.weight'"),
    ):
        layout_of(file).configure(file)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"llama.attention.head_count": 0}, "llama.attention.head_count is 0, expected 1 to 1024"),
        ({"llama.attention.head_count_kv": 3}, "4 attention heads cannot share 3 KV heads evenly"),
        ({"llama.attention.head_count_kv": 5}, "llama.attention.head_count_kv is 5, expected 1 to 4"),
        ({"llama.block_count": 2**31}, "llama.block_count is 2147483648, expected 1 to 1024"),
        ({"llama.attention.layer_norm_rms_epsilon": float("inf")}, "llama.attention.layer_norm_rms_epsilon is inf"),
        ({"llama.rope.freq_base": float("nan")}, "llama.rope.freq_base is nan"),
        ({"llama.rope.dimension_count": 15}, "llama.rope.dimension_count is 15, expected an even number"),
        ({"llama.rope.scaling.type": "stretched"}, "rotary scaling 'stretched' (llama.rope.scaling.type)"),
        ({"llama.rope.scaling.type": "yarn"}, "its metadata lacks llama.rope.scaling.factor"),
        ({"llama.attention.causal": False}, "sees the future (llama.attention.causal)"),
        ({"llama.attention.value_length": 8}, "keys and values of different length"),
        ({"llama.expert_count": 8}, "its metadata lacks llama.expert_used_count"),
        ({"llama.expert_count": 8, "llama.expert_used_count": 9}, "llama.expert_used_count is 9, expected 1 to 8"),
        ({"llama.attention.head_count_kv": [2, 2]}, "llama.attention.head_count_kv is a list"),
        ({"llama.context_length": "long"}, "llama.context_length is 'long', expected a whole number"),
    ],
)
def test_what_cannot_be_run_is_refused_by_key(tmp_path: Path, keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        configured(tmp_path, metadata=keys)
    assert reason in caught.value.reason


def test_an_unknown_architecture_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with GGUFFile(path) as file, pytest.raises(ModelFileError) as caught:
        layout_of(file)
    assert "'mamba'" in caught.value.reason
    assert all(name in caught.value.reason for name, family in FAMILIES.items() if family.gguf)
