"""A goal's verdict follows from medians, and is missing where nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.goals import GOALS, Verdict
from tests.benchmarks.sample import results


def verdicts(measured: dict[str, Any]) -> dict[str, Verdict | None]:
    return {goal.measure: goal.verdict(measured) for goal in GOALS}


@pytest.mark.parametrize(
    ("measure", "value", "beside", "ratio", "met"),
    [
        ("one stream, decode over HTTP", "250 tok/s", "100 (llama.cpp Q4_0)", 2.5, True),
        # 96 MB of weights and 106 tokens of 20 kB: 98.12 MB at 30 GB/s.
        ("one stream over HTTP against memory bandwidth", "250 tok/s", "306 (bound)", 250 * 98.12e6 / 30e9, True),
        ("perplexity beside that peer's file", "40.00", "44.00 (llama.cpp Q4_0)", 40 / 44, True),
        ("16 streams over HTTP, total", "774 tok/s", "516 (llama.cpp Q4_0)", 1.5, True),
        ("32 streams over HTTP, total", "500 tok/s", "516 (llama.cpp Q4_0)", 500 / 516, False),
        ("prefill of 512 tokens", "2560 tok/s", "1280 (llama.cpp Q8_0)", 2.0, True),
        ("prefill of 2048 tokens", "2560 tok/s", "1024 (llama.cpp Q4_0)", 2.5, True),
        ("first token of turn 10, 2000 tokens of history", "50 ms", "", None, False),
        ("cold start to first token over HTTP", "1.25 s", "", None, True),
        # 1.3 times 96 MB, 170 tokens of 20 kB, 120 MB.
        ("resident memory, one chat", "220 MB", "248 (limit)", 220 / 248.2, True),
        ("Mistral 7B's shape, Q4_0, decode", "8.00 tok/s", "6.40 (llama.cpp Q4_0)", 1.25, True),
        ("Mistral 7B's shape against memory bandwidth", "8.00 tok/s", "8.25 (bound)", 8 * 4.00064 / 33, True),
        ("embeddings, MiniLM, texts of 128 tokens", "128 texts/s (Myna w8)", "64 (sentence-transformers)", 2.0, True),
        ("embeddings beside ONNX Runtime", "128 texts/s (Myna w8)", "102 (ONNX Runtime int8)", 1.25, False),
    ],
)
def test_verdicts(measure: str, value: str, beside: str, ratio: float | None, met: bool) -> None:
    verdict = verdicts(results())[measure]
    assert verdict is not None
    assert (verdict.value, verdict.beside, verdict.met) == (value, beside, met)
    assert verdict.ratio == (None if ratio is None else pytest.approx(ratio, rel=1e-3))


def test_the_first_token_of_all_peers_streams_stands_beside() -> None:
    verdict = verdicts(results())["first token, 16 streams that start together, median"]
    assert verdict is not None
    assert verdict.value == "100 ms"
    assert verdict.beside.startswith("640 (llama.cpp Q4_0")


def test_worse_figures_miss() -> None:
    slow = results()
    for each in slow["single"]["http"]:
        each["1"]["tokens_per_second_each"] = 199
    verdict = verdicts(slow)["one stream, decode over HTTP"]
    assert verdict is not None
    assert not verdict.met


def test_worse_perplexity_misses() -> None:
    bad = results()
    bad["perplexity"]["engines"]["Myna"]["perplexity"] = 44.1
    verdict = verdicts(bad)["perplexity beside that peer's file"]
    assert verdict is not None
    assert not verdict.met


def test_nothing_measured_is_no_verdict() -> None:
    assert set(verdicts({"about": {}}).values()) == {None}
    assert verdicts({"perplexity": {}})["perplexity beside that peer's file"] is None
