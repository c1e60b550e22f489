"""The encoder's engine over a model whose vectors say where they come from."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from myna.engine.background import SHARE
from myna.engine.embedder import Embedder
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.options import EngineOptions
from myna.engine.request import Failed, GenerationRequest, SamplingParams
from myna.errors import EngineBusy, InvalidParameter, ModelTooLarge, PromptTooLong
from myna.models.config import EncoderConfig, Pooling

WIDTH = 4
CONTEXT = 100


class FakeExecutor:
    """A token's vector is its id, its id squared, one, and the sum of its whole text."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []  # lengths of the texts of each
        self.broken: Exception | None = None

    def cache_block_bytes(self, block_size: int, dtype: str) -> int:
        return block_size

    def allocate_cache(self, blocks: int, block_size: int, dtype: str) -> None:
        self.blocks, self.block_size = blocks, block_size

    def forward(self, tokens: Any, starts: Any, contexts: Any, tables: Any, rows: Any) -> None:
        if self.broken is not None:
            raise self.broken
        assert {tokens.dtype, starts.dtype, contexts.dtype, tables.dtype, rows.dtype} == {np.dtype(np.int32)}
        lengths = np.diff(starts)
        used = tables[tables >= 0]
        assert len(set(used.tolist())) == len(used), "two texts share a block"
        assert used.max() < self.blocks
        assert ((tables >= 0).sum(-1) * self.block_size >= lengths).all()
        assert not contexts.any()
        sums = np.repeat(np.add.reduceat(tokens, starts[:-1]), lengths)
        ids = tokens.astype(np.float32)
        self._vectors = np.stack([ids, ids**2, np.ones_like(ids), sums], axis=1).astype(np.float32)[rows]
        self.batches.append(lengths.tolist())

    def logits(self) -> NDArray[np.float32]:
        return self._vectors


class FakeTokenizer:
    """Bytes, between token 1 and token 2."""

    vocab_size = 256

    def encode_many(self, texts: Items[str]) -> list[list[int]]:
        return [[1, *text.encode(), 2] if text else [] for text in texts]

    def encode_pairs(self, first: str, seconds: Items[str]) -> tuple[list[list[int]], int] | None:
        if first == "?":
            return None
        opening = [1, *first.encode(), 2]
        return [[*opening, *text.encode(), 2] for text in seconds], len(opening)


def embedder(
    pooling: Pooling = "mean",
    *,
    normalised: bool = False,
    ranks: bool = False,
    segments: int = 1,
    memory: int = 1 << 30,
    **options: Any,
) -> tuple[Embedder, FakeExecutor]:
    executor = FakeExecutor()
    model = SimpleNamespace(executor=executor, tokenizer=FakeTokenizer(), context=CONTEXT)
    shape = EncoderConfig("bert", 1, WIDTH, 1, 8, 256, CONTEXT, 1e-12, "gelu", pooling, normalised)
    config = replace(shape, ranks=ranks, segments=segments)
    return Embedder(model, config, EngineOptions(name="fake", path="fake", **options), memory), executor


def ids(
    *texts: Items[int], name: str = "a", dimensions: int | None = None, background: bool = False
) -> EmbeddingRequest:
    return EmbeddingRequest(
        name, token_ids=tuple(tuple(text) for text in texts), dimensions=dimensions, background=background
    )


def vectors(event: Embedded | Failed) -> NDArray[np.float32]:
    assert isinstance(event, Embedded), event
    return np.frombuffer(event.vectors, "<f4").reshape(len(event.tokens), -1)


def run(engine: Embedder, *requests: EmbeddingRequest) -> dict[str, Embedded | Failed]:
    for request in requests:
        engine.add(engine.prepare(request))
    events: dict[str, Embedded | Failed] = {}
    while not engine.is_idle:
        events |= {event.request_id: event for event in engine.step().get(0, [])}
    return events


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("mean", [[2, 14 / 3, 1, 6], [7, 49, 1, 7]]), ("first", [[1, 1, 1, 6], [7, 49, 1, 7]]),
     ("last", [[3, 9, 1, 6], [7, 49, 1, 7]])],
)  # fmt: skip
def test_a_texts_vector_is_pooled_from_its_own_tokens(pooling: Pooling, expected: list[list[float]]) -> None:
    engine, executor = embedder(pooling)
    event = run(engine, ids([1, 2, 3], [7]))["a"]
    np.testing.assert_allclose(vectors(event), expected, rtol=1e-6)
    assert isinstance(event, Embedded)
    assert event.tokens == (3, 1)
    assert event.width == WIDTH
    assert executor.batches == [[3, 1]]


def test_vectors_are_normalised_if_the_model_wants_it_or_dimensions_are_left_out() -> None:
    for normalised, dimensions in ((True, None), (False, 2), (True, 2)):
        engine, _ = embedder(normalised=normalised)
        [vector] = vectors(run(engine, ids([3], dimensions=dimensions))["a"])
        whole = np.array([3, 9, 1, 3])[:dimensions]
        np.testing.assert_allclose(vector, whole / np.linalg.norm(whole), rtol=1e-6)


def test_texts_are_tokenised_with_what_the_model_wants_around_them() -> None:
    engine, _ = embedder("first")
    event = run(engine, EmbeddingRequest("a", texts=("xyz", "q")))["a"]
    assert isinstance(event, Embedded)
    assert event.tokens == (5, 3)
    np.testing.assert_allclose(vectors(event)[:, 0], [1, 1])


def test_requests_share_batches_and_take_turns() -> None:
    engine, executor = embedder(step_tokens=1000)
    long = [[5] * CONTEXT] * 60
    engine.add(engine.prepare(ids(*long, name="long")))
    engine.add(engine.prepare(ids([1], [2], name="short")))
    first = engine.step()[0]
    assert [event.request_id for event in first] == ["short"], "it does not wait for all of the long one"
    while not engine.is_idle:
        engine.step()
    assert sum(map(len, executor.batches)) == 62
    assert all(sum(batch) <= 1000 for batch in executor.batches)


def test_those_in_the_background_wait_but_for_their_share() -> None:
    engine, executor = embedder(step_tokens=CONTEXT)
    for name in ("b1", "b2"):
        engine.add(engine.prepare(ids(*[[9] * 40] * 4, name=name, background=True)))
    engine.step()
    assert executor.batches == [[40]], "alone: short batches, so that whoever comes need not wait"
    engine.add(engine.prepare(ids(*[[7] * 10] * 40, name="live")))
    executor.batches.clear()
    while (0, "live") in engine._jobs:
        engine.step()
    background = sum(length for batch in executor.batches for length in batch if length == 40)
    assert 0 < background < 400 // SHARE + 40, "a share of what live texts need, in whole texts"
    while not engine.is_idle:
        engine.step()


def test_a_full_background_refuses_no_live_request() -> None:
    engine, _ = embedder(max_waiting=1)
    engine.add(engine.prepare(ids([1], name="b1", background=True)))
    with pytest.raises(EngineBusy):
        engine.add(engine.prepare(ids([1], name="b2", background=True)))
    engine.add(engine.prepare(ids([1], name="live")))


def test_a_vector_does_not_depend_on_what_is_beside_it() -> None:
    random = np.random.default_rng(3)
    texts = [random.integers(3, 250, length).tolist() for length in random.integers(1, CONTEXT, 50)]
    engine, _ = embedder(normalised=True)
    together = vectors(run(engine, ids(*texts))["a"])
    alone = [vectors(run(engine, ids(text))["a"])[0] for text in texts]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("request_", "error", "param"),
    [
        (ids(), InvalidParameter, "input"),
        (EmbeddingRequest("a"), InvalidParameter, "input"),
        (ids([]), InvalidParameter, "input"),
        (ids([1], []), InvalidParameter, "input[1]"),
        (ids([1], [256]), InvalidParameter, "input[1]"),
        (ids([-1]), InvalidParameter, "input"),
        (ids([1], dimensions=5), InvalidParameter, "dimensions"),
        (ids([1], dimensions=0), InvalidParameter, "dimensions"),
        (ids([1], [1] * (CONTEXT + 1)), PromptTooLong, "input[1]"),
        (EmbeddingRequest("a", texts=("x" * CONTEXT,)), PromptTooLong, "input"),
        (GenerationRequest("a", SamplingParams(), text="Write!"), InvalidParameter, "model"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(request_: Any, error: type[Exception], param: str) -> None:
    engine, _ = embedder()
    with pytest.raises(error) as caught:
        engine.prepare(request_)
    assert caught.value.param == param  # type: ignore[attr-defined]
    assert engine.is_idle


class ScoringExecutor(FakeExecutor):
    """A pair's score is the mean of its tokens, less 100."""

    def forward(self, tokens: Any, starts: Any, contexts: Any, tables: Any, rows: Any) -> None:
        super().forward(tokens, starts, contexts, tables, rows)
        assert rows.tolist() == starts[:-1].tolist(), "the first token's vector is scored"
        means = np.add.reduceat(tokens, starts[:-1]) / np.diff(starts)
        self._vectors = (means[:, None] - 100).astype(np.float32)


def scoring(query: str, *texts: str, name: str = "a") -> EmbeddingRequest:
    return EmbeddingRequest(name, texts=texts, query=query)


@pytest.mark.parametrize("segments", [1, 2])
def test_a_reranker_scores_each_text_behind_the_query(segments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.FakeExecutor", ScoringExecutor)
    engine, executor = embedder("first", ranks=True, segments=segments)
    event = run(engine, scoring("hm", "yes", "n" * 50))["a"]
    assert executor.batches == [[8, 55]]
    assert isinstance(event, Embedded)
    assert event.tokens == (8, 55)
    means = [(1 + sum(b"hm") + 2 + sum(text) + 2 + (segments - 1) * 256 * (len(text) + 1)) / (len(text) + 5)
             for text in (b"yes", b"n" * 50)]  # fmt: skip
    np.testing.assert_allclose(vectors(event)[:, 0], [1 / (1 + np.exp(100 - mean)) for mean in means], rtol=1e-3)


def test_other_encoders_compare_vectors_and_count_the_query_once() -> None:
    engine, executor = embedder(normalised=False)
    event = run(engine, scoring("ab", "ab", "xyz"))["a"]
    assert executor.batches == [[4, 4, 5]]
    assert isinstance(event, Embedded)
    assert event.tokens == (8, 5)
    [[same], [other]] = vectors(event)
    assert same == pytest.approx(1, abs=1e-6)
    assert -1 <= other < same


@pytest.mark.parametrize(
    ("ranks", "request_", "error", "param"),
    [
        (True, ids([1]), InvalidParameter, "model"),
        (True, scoring("?", "a"), InvalidParameter, "model"),
        (True, scoring("a"), InvalidParameter, "documents"),
        (True, scoring("a" * 50, "b", "b" * 50), PromptTooLong, "documents[1]"),
        (False, scoring("a"), InvalidParameter, "documents"),
        (False, scoring("a" * CONTEXT, "b"), PromptTooLong, "query"),
        (False, scoring("a", "b", "b" * CONTEXT), PromptTooLong, "documents[1]"),
        (False, scoring("a", "b", ""), InvalidParameter, "documents[1]"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(
    ranks: bool, request_: EmbeddingRequest, error: type[Exception], param: str
) -> None:
    engine, _ = embedder("first", ranks=ranks)
    with pytest.raises(error) as caught:
        engine.prepare(request_)
    assert caught.value.param == param  # type: ignore[attr-defined]


def test_too_many_requests_are_refused_and_so_is_a_second_of_the_same_name() -> None:
    engine, _ = embedder(max_waiting=2)
    engine.add(engine.prepare(ids([1], name="a")))
    with pytest.raises(InvalidParameter, match="in use"):
        engine.add(engine.prepare(ids([1], name="a")))
    engine.add(engine.prepare(ids([1], name="b")))
    with pytest.raises(EngineBusy):
        engine.add(engine.prepare(ids([1], name="c")))


def test_a_cancelled_request_costs_nothing_more() -> None:
    engine, executor = embedder()
    engine.add(engine.prepare(ids(*[[5] * CONTEXT] * 60, name="long"), channel=1))
    engine.add(engine.prepare(ids([1], name="other"), channel=2))
    engine.step()
    engine.cancel_channel(1)
    engine.cancel(2, "unknown")
    assert [type(event) for event in engine.step()[1]] == [Failed]
    assert engine.is_idle
    assert len(executor.batches) == 1


def test_what_breaks_or_is_not_a_number_fails_its_requests_alone() -> None:
    engine, executor = embedder()
    executor.broken = ValueError("no")
    failed = run(engine, ids([1], name="a"), ids([2], name="b"))
    assert [type(event) for event in failed.values()] == [Failed, Failed]
    executor.broken = None
    assert isinstance(run(engine, ids([1]))["a"], Embedded)
    executor.logits = lambda: np.full((3, WIDTH), np.nan, np.float32)  # type: ignore[method-assign]
    [event] = run(engine, ids([1, 2, 3])).values()
    assert isinstance(event, Failed)
    assert "NaN" in event.message


def test_a_model_without_room_for_a_batch_is_refused() -> None:
    with pytest.raises(ModelTooLarge, match="MiB"):
        embedder(memory=100)
