from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from myna.errors import ModelFileError, ModelTooLarge
from myna.formats import GGUFFile
from myna.models.decoder import build_decoder
from myna.models.families import layout_of
from myna.models.packing import Packing, check_memory, describe_quantisation, ease, plan_packing, weight_bytes
from tests.synthetic import write_model


def planned(path: Path, **options: Any) -> list[Packing]:
    with GGUFFile(path) as file:
        layout = layout_of(file)
        config = layout.configure(file)
        return plan_packing(file, layout, build_decoder(config), config, **options)


def targets(plan: list[Packing]) -> set[str]:
    return {packing.target for packing in plan if packing.weight.kind == "matrix"}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("Q4_1", "w4"), ("Q4_0", "w4s"), ("Q8_0", "w8"), ("BF16", "bf16"), ("F16", "f32"), ("F32", "f32"),
        ("Q4_K", "w4"), ("Q2_K", "w8"), ("Q3_K", "w8"), ("Q5_0", "w8"), ("Q5_1", "w8"), ("Q5_K", "w8"),
        ("Q6_K", "w8"), ("IQ4_NL", "w8"), ("MXFP4", "w8"),
    ],
)  # fmt: skip
def test_auto_keeps_what_the_file_holds(tmp_path: Path, stored: str, expected: str) -> None:
    plan = planned(write_model(tmp_path / "model.gguf", quant=stored, layers=1, width=256, mlp_width=256))
    assert targets(plan) == {expected}
    assert describe_quantisation(plan) == expected
    assert {packing.target for packing in plan if packing.weight.kind == "vector"} == {"f32"}


@pytest.mark.parametrize("quant", ["w4", "w8", "bf16", "f32"])
def test_a_format_that_was_asked_for_is_taken(tmp_path: Path, quant: str) -> None:
    assert targets(planned(write_model(tmp_path / "model.gguf", quant="Q8_0"), quant=quant)) == {quant}


def test_asked_for_w4_a_file_of_the_smaller_kind_keeps_it(tmp_path: Path) -> None:
    assert targets(planned(write_model(tmp_path / "model.gguf", quant="Q4_0"), quant="w4")) == {"w4s"}


def test_rows_that_are_not_whole_groups_are_not_cut_into_groups(tmp_path: Path) -> None:
    plan = planned(write_model(tmp_path / "model.gguf", width=40, mlp_width=64), quant="w8")
    assert {
        packing.weight.columns % 32 == 0: packing.target for packing in plan if packing.weight.kind == "matrix"
    } == {
        True: "w8",
        False: "bf16",
    }


def test_the_default_models_plan(default_model: Path) -> None:
    plan = planned(default_model)
    assert describe_quantisation(plan) == "w4+w8"
    assert sum(packing.bytes for packing in plan) == 96_576_768
    offsets = [packing.stored.tensors[0].offset for packing in plan]
    assert offsets == sorted(offsets)  # in the file's order, so that the disk reads ahead


def test_float_weights_lose_bits_only_where_memory_is_short(tmp_path: Path) -> None:
    plan = planned(write_model(tmp_path / "model.gguf", quant="F16", width=64, vocab_size=384))
    assert [describe_quantisation(ease(plan, int(share * weight_bytes(plan)))) for share in (1.4, 1.3, 0.6, 0.1)] == [
        "f32", "bf16", "w8", "w8",
    ]  # fmt: skip
    assert ease(plan, 2 * weight_bytes(plan)) is plan


def test_integer_weights_stay_as_they_are_however_little_memory_there_is(default_model: Path) -> None:
    plan = planned(default_model)
    assert ease(plan, 0) is plan


@pytest.mark.parametrize("name", ["blk.1.ffn_down.weight", "output_norm.weight", "token_embd.weight"])
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelFileError, match=f"tensor '{name}' is missing"):
        planned(write_model(tmp_path / "model.gguf", without=name))


def test_a_surplus_tensor_is_named(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", layers=2, metadata={"llama.block_count": 1})
    with pytest.raises(ModelFileError, match=r"tensor 'blk\.1\.attn_k\.weight' is not part of this architecture"):
        planned(path)


def test_a_tensor_of_another_shape_is_named_with_both(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", metadata={"llama.feed_forward_length": 96})
    with pytest.raises(ModelFileError, match=r"has the shape \[128, 64\], expected \[96, 64\]"):
        planned(path)


def test_a_quantisation_without_kernels_is_named_with_those_that_have(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", layers=1, width=256, mlp_width=256, quant="TQ2_0")
    with pytest.raises(
        ModelFileError, match="is quantised as TQ2_0, which is not supported; supported: Q4_1, Q4_0, Q4_K"
    ):
        planned(path)


def test_a_model_larger_than_memory_is_refused_with_both_numbers(default_model: Path) -> None:
    plan = planned(default_model)
    with GGUFFile(default_model) as file:
        check_memory(file, plan, 96_576_768)
        with pytest.raises(
            ModelTooLarge, match=r"needs 92 MiB of memory for its weights, but 48 MiB are free\. No quant"
        ):
            check_memory(file, plan, 50_000_000)
        with pytest.raises(ModelTooLarge, match=r"With --quant w4 it needs 80 MiB, which would fit"):
            check_memory(file, plan, 85_000_000)


def test_planned_sizes_are_those_of_the_executor(tmp_path: Path) -> None:
    from myna.models.loader import load_model

    for quant in ("Q4_0", "Q4_1", "Q8_0", "F32"):
        path = write_model(tmp_path / "model.gguf", quant=quant, vocab_size=384, width=128)
        assert load_model(path).weight_bytes == pytest.approx(sum(p.bytes for p in planned(path)), rel=0.02)


def test_gguf_names_the_same_block_sizes() -> None:
    from myna.formats.types import TENSOR_TYPES

    for kind, (elements, size) in gguf.GGML_QUANT_SIZES.items():
        assert TENSOR_TYPES[kind.value] == (kind.name, elements, size)
    assert np.float32().itemsize == TENSOR_TYPES[0].bytes
