"""The table of measured errors."""

from __future__ import annotations

from benchmarks.parity import QUANTISATIONS, measure, render


def test_a_model_a_row_and_nothing_where_there_is_no_file() -> None:
    errors = dict.fromkeys(QUANTISATIONS, 1.5e-6)
    table = render({"one": {"huggingface": errors, "gguf": errors}, "other": {"huggingface": errors}}).splitlines()
    assert [line.count("|") for line in table[:4]] == [10, 10, 10, 10]
    assert table[2].startswith("| one | 1.5e-06 |")
    assert table[3].endswith("| 1.5e-06 |  |  |  |  |")


def test_errors_grow_as_bits_go() -> None:
    errors = measure("bloom")["gguf"]
    assert errors["f32"] < errors["bf16"] < errors["w8"] < errors["w4"] < 1
