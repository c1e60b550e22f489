"""Tables say what was measured, and nothing where nothing was."""

from __future__ import annotations

import re

import pytest

from benchmarks.report import figure, parts
from tests.benchmarks.sample import results


def test_every_goal_is_a_row() -> None:
    rows = parts(results())["summary"].splitlines()
    assert any(
        re.fullmatch(r"\| one stream, decode over HTTP .*250 tok/s .*100 .* 2\.50 .* met \|", row) for row in rows
    )
    assert any(re.fullmatch(r"\| 32 streams over HTTP, total .*500 tok/s .* \*\*missed\*\* \|", row) for row in rows)


def test_missed_goals_are_listed_alone() -> None:
    missed = parts(results())["missed"].splitlines()
    assert [line.split(":")[0] for line in missed] == [
        "- 32 streams over HTTP, total",
        "- first token of turn 10, 2000 tokens of history",
        "- embeddings beside ONNX Runtime",
    ]
    assert "500 tok/s, beside 516 (llama.cpp Q4_0): 0.97; the goal is ≥ 1.5" in missed[0]


def test_every_section_is_in_the_long_version() -> None:
    speed = parts(results())["speed"]
    assert "a processor" in speed
    assert "30.0 GB/s" in speed
    assert "| llama.cpp Q4_0 | 100 | 100 | 1024 | 0.50 | 200 |" in speed
    assert "After 42 tokens a token reads 98.1 MB, 96.0 MB of them weights" in speed
    assert "| 16 that start together | 900 | 900 | 100 | 200 |" in speed
    assert "| Myna | 1720 | 1720 | 2048 | 2048 | 2560 |" in speed
    assert "2005 tokens of prompt; 1984 of them" in speed
    assert "| ONNX Runtime int8 | 102 | 0.96000 |" in speed
    assert "| llama.cpp Q4_0 | 44.000 |" in speed
    assert "vLLM" not in speed


def test_drawings_are_where_the_document_looks() -> None:
    assert "](images/speed-by-streams.svg)" in parts(results())["growth"]


def test_a_part_that_was_not_measured_says_so() -> None:
    made = parts({"about": results()["about"]})
    assert "not measured" in made["summary"]
    assert "growth" not in made


def test_a_trial_is_named_as_one() -> None:
    trial = results()
    trial["about"]["quick"] = True
    assert "no more" in parts(trial)["summary"]
    assert "no more" not in parts(results())["summary"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (3.14159, "3.14"), (99.96, "100.0"), (1234.5, "1234"), (0.012345, "0.0123")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text
