"""Encoders' vectors against Transformers on the same weights, from directories and from GGUF files."""

from __future__ import annotations

from contextlib import closing
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import PreTrainedModel

from myna import _native
from myna.formats import open_model
from myna.models.config import EncoderConfig
from myna.models.encoder import build_encoder
from myna.models.families import layout_of
from myna.models.loader import pack
from myna.models.packing import plan_packing
from myna.settings import Quantisation
from tests.native.models import batch
from tests.parity.encoders import CONFIGS, VOCABULARY, build, expected_vectors, save, write_gguf
from tests.parity.reference import relative_error

LENGTHS = (1, 17, 50, 32)


@lru_cache(maxsize=2)
def reference(name: str) -> PreTrainedModel:
    return build(name)


def texts() -> list[list[int]]:
    random = np.random.default_rng(5)
    return [random.integers(3, VOCABULARY, length).tolist() for length in LENGTHS]


def encode(path: Path, sequences: list[list[int]], quant: Quantisation = "f32") -> list[NDArray[np.float32]]:
    """Each text's vectors [tokens, width], all texts in one batch."""
    with closing(open_model(path)) as file:
        layout = layout_of(file)
        config = layout.configure(file)
        assert isinstance(config, EncoderConfig)
        program = build_encoder(config)
        executor = _native.Executor(program.to_ops(), 2, _native.instruction_sets()[0])
        pack(file, plan_packing(file, layout, program, config, quant), executor)
    executor.allocate_cache(16, 16, "float32")
    blocks = iter(range(16))
    executor.forward(*batch([(ids, 0, [next(blocks) for _ in range(0, len(ids), 16)]) for ids in sequences]).arrays())
    return np.split(executor.logits(), np.cumsum([len(ids) for ids in sequences])[:-1])


@pytest.mark.parametrize("name", CONFIGS)
def test_random_encoders_agree_in_a_batch_of_different_lengths(tmp_path: Path, name: str) -> None:
    path = save(reference(name), tmp_path / name)
    for ids, vectors in zip(texts(), encode(path, texts()), strict=True):
        assert relative_error(vectors, expected_vectors(reference(name), ids)) < 1e-4


def test_gguf_files_agree(tmp_path: Path) -> None:
    path = write_gguf(reference("bert"), tmp_path / "bert.gguf")
    for ids, vectors in zip(texts(), encode(path, texts()), strict=True):
        assert relative_error(vectors, expected_vectors(reference("bert"), ids)) < 1e-4


# Measured on these texts: bf16 6e-3, w8 3e-2, w4 3e-1; random weights make the most of every rounding.
@pytest.mark.parametrize(("quant", "error"), [("bf16", 2e-2), ("w8", 5e-2), ("w4", 4e-1)])
def test_fewer_bits_cost_what_they_are_said_to(tmp_path: Path, quant: Quantisation, error: float) -> None:
    path = save(reference("bert"), tmp_path / "bert")
    for ids, vectors in zip(texts(), encode(path, texts(), quant), strict=True):
        assert relative_error(vectors, expected_vectors(reference("bert"), ids)) < error
