"""Mixtral's first GGUF files, whose experts are tensors of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.parity import models
from tests.parity.as_gguf import write_gguf
from tests.parity.runner import Runner


def test_experts_one_by_one_are_the_same_model(tmp_path: Path) -> None:
    model = models.build("mixtral")
    stacked = Runner(write_gguf(model, tmp_path / "stacked.gguf"))
    one_by_one = Runner(write_gguf(model, tmp_path / "one-by-one.gguf", one_by_one=True))
    ids = list(range(3, 40))
    np.testing.assert_array_equal(one_by_one.whole(ids), stacked.whole(ids))
