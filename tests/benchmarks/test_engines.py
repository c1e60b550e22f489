"""What every engine is asked, and that ours does it, on a synthetic file."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.engines import OWN, contenders
from benchmarks.own import start
from benchmarks.peers.measuring import Load
from benchmarks.shapes import SHAPES, Shape, write_shape
from myna.formats import open_model


def test_a_load_is_its_text() -> None:
    assert Load.parse("16x42+128") == Load(16, 42, 128)
    assert str(Load(16, 42, 128)) == "16x42+128"


def test_prompts_differ_and_stay_in_the_vocabulary() -> None:
    prompts = Load(4, 50, 1).prompts(32000)
    assert len({tuple(prompt) for prompt in prompts}) == 4
    assert all(len(prompt) == 50 and min(prompt) >= 300 and max(prompt) < 32000 for prompt in prompts)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_have_the_size_of_their_name(name: str) -> None:
    unit = {"M": 1e6, "B": 1e9}[name[-1]]
    assert SHAPES[name].parameters == pytest.approx(float(name[:-1]) * unit, rel=0.1)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shapes") / "tiny.gguf"
    write_shape(path, Shape(layers=2, width=64, heads=4, kv_heads=2, mlp_width=128, tied=False))
    return path


def test_a_synthetic_file_says_so_and_is_as_large_as_its_type(synthetic: Path) -> None:
    file = open_model(synthetic)
    assert "random weights" in str(file.metadata["general.name"])
    matrices = [tensor for tensor in file.tensors.values() if len(tensor.shape) == 2]
    assert {tensor.type for tensor in matrices} == {"Q4_0"}
    file.close()


def test_our_engine_takes_every_load(synthetic: Path) -> None:
    engine, figures = start(str(synthetic), 1, "auto")
    for load in (Load(1, 8, 2), Load(3, 40, 4), Load(3, 40, 4)):
        prefill, decode = engine(load)
        assert prefill > 0
        assert decode > 0
    assert figures["bytes_per_token"] > 32000 * 64 // 2  # the head at least
    assert figures["cache_bytes_per_token"] == 2 * 2 * 2 * 16 * 2  # layers, keys and values, heads, dimensions, float16


def test_a_peer_that_is_nowhere_near_the_best_sits_out() -> None:
    def took(prefill: float, decode: float) -> dict[str, dict[str, dict[str, float]]]:
        return {"loads": {"1x42+128": {"prefill_seconds": prefill, "decode_seconds": decode}}}

    first = {OWN: took(9, 9), "quick": took(1, 1), "good at prompts": took(2, 5), "slow": took(2.1, 2.1)}
    assert contenders(first) == {OWN, "quick", "good at prompts"}
