"""The real all-MiniLM-L6-v2, from its name to its vectors, against Transformers on the same files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from myna.backends.native import in_process
from myna.engine.embedding import EmbeddingRequest
from myna.engine.options import EngineOptions
from myna.hub import Hub
from tests.model_fixtures import shared_models_directory

TEXTS = (
    "A myna is a bird that talks.",
    "Some birds of the starling family can imitate human speech.",
    "The interest rate was raised by a quarter of a percentage point.",
    "Grüße aus Zürich — naïve café, 中文, [SEP] is no control token here.",
    "word " * 300,
)


@pytest.fixture(scope="module")
def directory() -> Path:
    return Hub(shared_models_directory()).pull("all-minilm:l6")


@pytest.fixture(scope="module")
def expected(directory: Path) -> NDArray[np.float32]:
    """[texts, width]: the mean over each text's tokens, of length 1."""
    torch.set_num_threads(1)  # on few cores more of them only wait for each other
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory).eval()
    vectors = []
    for text in TEXTS:
        ids = tokenizer(text.replace("[SEP]", "[ SEP ]"), return_tensors="pt")
        with torch.inference_mode():
            vector = model(**ids).last_hidden_state[0].mean(0).numpy()
        vectors.append(vector / np.linalg.norm(vector))
    return np.stack(vectors)


def embed(directory: Path, quant: str) -> NDArray[np.float32]:
    async def run() -> bytes:
        options = EngineOptions(name="all-minilm:l6", path=str(directory), quant=quant, threads=1)
        async with in_process(options) as backend:
            return (await backend.embed(EmbeddingRequest("a", texts=TEXTS))).vectors

    return np.frombuffer(asyncio.run(run()), "<f4").reshape(len(TEXTS), -1)


def test_its_vectors_are_those_of_transformers(directory: Path, expected: NDArray[np.float32]) -> None:
    vectors = embed(directory, "auto")
    assert np.abs(vectors - expected).max() / np.abs(expected).max() < 1e-4
    similar = vectors @ vectors.T
    assert similar[0, 1] > similar[0, 2] + 0.2, "birds are nearer to birds than to interest rates"


def test_in_eight_bits_they_point_the_same_way(directory: Path, expected: NDArray[np.float32]) -> None:
    # Measured: prose 0.9994 at worst (docs/decisions/078), the same word 300 times 0.9988.
    assert (embed(directory, "w8") * expected).sum(-1).min() > 0.998
