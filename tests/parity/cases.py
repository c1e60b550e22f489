"""How far Myna's logits are from those of Transformers: one model, its files, and every way to read a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.parity import models
from tests.parity.as_gguf import ARCHITECTURES, write_gguf
from tests.parity.runner import Floats, Runner, relative_error

LENGTHS = (61, 37, 50)
"""Beyond every sliding window, and beyond the contexts that rotary scaling starts from."""


@dataclass(frozen=True)
class Case:
    """A model's files by kind, some texts as token ids, and what Transformers makes of each."""

    files: dict[str, Path]
    texts: list[list[int]]
    expected: list[Floats]


def build_case(name: str, directory: Path) -> Case:
    """The files of `models.CONFIGS`' model ``name``, written to ``directory``."""
    model = models.build(name)
    files = {"huggingface": models.save(model, directory / "huggingface")}
    if model.config.model_type in ARCHITECTURES:
        files["gguf"] = write_gguf(model, directory / "model.gguf")
    random = np.random.default_rng(7)
    texts = [random.integers(0, models.VOCABULARY, length).tolist() for length in LENGTHS]
    return Case(files, texts, [models.expected_logits(model, text) for text in texts])


def whole(runner: Runner, case: Case) -> float:
    """The first text at once."""
    return relative_error(runner.whole(case.texts[0]), case.expected[0])


def beside_others(runner: Runner, case: Case) -> float:
    """All texts, of different lengths, in one batch."""
    return max(map(relative_error, runner.together(case.texts), case.expected))


def in_chunks(runner: Runner, case: Case) -> float:
    """The first text in parts that match no block of the cache."""
    return relative_error(runner.in_chunks(case.texts[0], [5, 17, 16]), case.expected[0])


def from_the_cache(runner: Runner, case: Case) -> float:
    """The first text token by token behind a cached prefix."""
    return relative_error(runner.in_chunks(case.texts[0], [18, 1]), case.expected[0])


WAYS: dict[str, Callable[[Runner, Case], float]] = {
    "whole": whole,
    "beside others": beside_others,
    "in chunks": in_chunks,
    "from the cache": from_the_cache,
}
