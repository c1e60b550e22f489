from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.formats.fuzz import FUZZERS


@pytest.mark.parametrize("name", FUZZERS)
def test_whatever_is_sent_is_read_or_refused(tmp_path: Path, name: str) -> None:
    for seed in range(120):
        FUZZERS[name](random.Random(seed), tmp_path)
