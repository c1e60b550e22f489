from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.models.fuzz import FUZZERS

ROUNDS = {"chat template": 20}
"""Each takes a process of its own; the others are quick."""


@pytest.mark.parametrize("name", FUZZERS)
def test_whatever_is_sent_works_or_is_refused(tmp_path: Path, name: str) -> None:
    for seed in range(ROUNDS.get(name, 150)):
        FUZZERS[name](random.Random(seed), tmp_path)
