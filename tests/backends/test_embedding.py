"""Embeddings through a real engine, in a process and in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from myna.backends.native import NativeBackend, connect, in_process
from myna.backends.process import EngineProcess
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.options import EngineOptions
from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import InvalidParameter, PromptTooLong
from tests.encoders import CONTEXT, WIDTH, write_encoder
from tests.patience import WAIT_SECONDS


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("models") / "encoder")


def options(path: Path) -> EngineOptions:
    return EngineOptions(name="encoder", path=str(path), threads=1)


@pytest.fixture
async def backend(directory: Path) -> AsyncIterator[NativeBackend]:
    async with asyncio.timeout(WAIT_SECONDS), in_process(options(directory)) as backend:
        yield backend


def vectors(embedded: Embedded) -> NDArray[np.float32]:
    return np.frombuffer(embedded.vectors, "<f4").reshape(len(embedded.tokens), -1)


async def embed(backend: NativeBackend, *texts: str, name: str = "a") -> NDArray[np.float32]:
    return vectors(await backend.embed(EmbeddingRequest(name, texts=texts)))


async def test_a_process_of_its_own_embeds_the_same(directory: Path, backend: NativeBackend) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        other = await connect(EngineProcess(options(directory)))
        try:
            description = await other.describe()
            theirs = await embed(other, "The quick brown fox.", "a bird")
        finally:
            await other.close()
    assert (description.kind, description.embedding_width) == ("encoder", WIDTH)
    assert (description.context, description.architecture) == (CONTEXT, "bert")
    ours = await embed(backend, "The quick brown fox.", "a bird")
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


async def test_many_at_once_are_as_each_alone(backend: NativeBackend) -> None:
    texts = ["the fox " * count for count in range(1, 20)]
    together = await asyncio.gather(*(embed(backend, text, name=text) for text in texts))
    np.testing.assert_array_equal(np.concatenate(together), await embed(backend, *texts))


async def test_texts_get_what_the_model_wants_around_them_and_nothing_in_them_is_control(
    backend: NativeBackend,
) -> None:
    embedded = await backend.embed(EmbeddingRequest("a", texts=("a myna talks", "a [SEP]")))
    assert embedded.tokens == (2 + 4, 2 + 4), "[CLS] a myna talk ##s [SEP], and [CLS] a [ sep ] [SEP]"
    [by_ids] = vectors(await backend.embed(EmbeddingRequest("b", token_ids=((2, 9, 10, 14, 15, 3),))))
    np.testing.assert_array_equal(by_ids, vectors(embedded)[0])


async def test_the_wrong_kind_of_model_says_so(backend: NativeBackend, tiny_model: Path) -> None:
    with pytest.raises(InvalidParameter, match="writes no text") as caught:
        async for _ in backend.generate(GenerationRequest("a", SamplingParams(), text="the fox")):
            pass
    assert caught.value.param == "model"
    async with in_process(options(tiny_model)) as decoder:
        with pytest.raises(InvalidParameter, match="makes no embeddings") as caught:
            await embed(decoder, "the fox")
    assert caught.value.param == "model"


async def test_a_text_that_is_too_long_is_refused_with_both_numbers(backend: NativeBackend) -> None:
    with pytest.raises(PromptTooLong) as caught:
        await embed(backend, "fox", "fox " * 100)
    assert (caught.value.tokens, caught.value.limit, caught.value.param) == (102, CONTEXT, "input[1]")
    assert "Cut it into parts" in caught.value.message
    assert (await embed(backend, "fox")).shape == (1, WIDTH)


async def test_statistics_count_texts_and_tokens(backend: NativeBackend) -> None:
    await embed(backend, "the fox", "a bird")
    counted = await backend.statistics()
    assert (counted["requests_total"], counted["embedded_texts_total"], counted["embedded_tokens_total"]) == (1, 2, 8)


async def test_a_storm_of_requests_and_cancellations_changes_no_vector(backend: NativeBackend) -> None:
    draw = random.Random(5)
    alone = {count: await embed(backend, "the quick fox " * count) for count in range(1, 14)}

    async def one(name: str) -> None:
        counts = [draw.randrange(1, 14) for _ in range(draw.randrange(1, 20))]
        asking = asyncio.create_task(embed(backend, *("the quick fox " * count for count in counts), name=name))
        if draw.random() < 0.3:
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
            asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            np.testing.assert_array_equal(await asking, np.concatenate([alone[count] for count in counts]))

    await asyncio.gather(*(one(f"r{index}") for index in range(60)))
    await embed(backend, "fox", name="last")
    counted = await backend.statistics()
    assert counted["requests_cancelled_total"] > 0
    assert (counted["requests_running"], counted["requests_failed_total"], backend.num_running) == (0, 0, 0)
