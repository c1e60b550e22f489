"""Adapters come, are used, and go while their users still run."""

from __future__ import annotations

from typing import Any

import pytest

from myna.engine.adapters import MAX_ADAPTERS
from myna.engine.engine import Engine
from myna.errors import Conflict, InvalidParameter, NotFound

from .fakes import Answer, FakeExecutor, drain, fake_engine, request, run

SHARED = "a beginning that several prompts have in common, longer than a few blocks: "


def weights(name: str) -> Any:
    return {"layers.0.attention.q": name}


@pytest.fixture
def engine() -> Engine:
    made = fake_engine(FakeExecutor(may_end=False))
    for name in ("pirate", "poet"):
        made.load_adapter(name, weights(name))
    return made


def test_each_sequence_has_its_own_in_one_batch(engine: Engine) -> None:
    names = (None, "pirate", "poet")
    together = run(engine, *(request(str(name), SHARED, adapter=name, max_tokens=20) for name in names))
    texts = [together[str(name)].token_ids for name in names]
    assert len({tuple(ids) for ids in texts}) == 3
    for name, ids in zip(names, texts, strict=True):
        alone = fake_engine(FakeExecutor(may_end=False))
        if name is not None:
            alone.load_adapter(name, weights(name))
        assert run(alone, request("a", SHARED, adapter=name, max_tokens=20))["a"].token_ids == ids


def test_prefixes_are_shared_with_the_same_adapter_only(engine: Engine) -> None:
    def cached(name: str | None) -> int:
        answer = run(engine, request("a", SHARED, adapter=name, max_tokens=1))["a"]
        assert answer.started is not None
        return answer.started.cached_tokens

    assert cached("pirate") == 0
    assert cached("pirate") > 0
    assert cached(None) == cached("poet") == 0
    engine.unload_adapter("pirate")
    engine.load_adapter("pirate", weights("another pirate"))
    assert cached("pirate") == 0, "of the same name, but not the same"


def test_an_unknown_adapter_is_refused_with_those_there_are(engine: Engine) -> None:
    with pytest.raises(InvalidParameter, match="no adapter 'painter' on this model; loaded are pirate, poet") as caught:
        run(engine, request("a", adapter="painter"))
    assert caught.value.param == "adapter"
    with pytest.raises(Conflict, match="already"):
        engine.load_adapter("poet", weights("poet"))
    with pytest.raises(NotFound):
        engine.unload_adapter("painter")


def test_who_uses_an_adapter_that_is_unloaded_finishes(engine: Engine) -> None:
    asked = request("a", SHARED, adapter="pirate", max_tokens=30)
    expected = run(engine, asked)["a"].token_ids
    engine.add(engine.prepare(asked))
    answers: dict[str, Answer] = {}
    for event in engine.step().get(0, []):
        answers.setdefault(event.request_id, Answer()).take(event)
    engine.unload_adapter("pirate")
    with pytest.raises(InvalidParameter):
        engine.add(engine.prepare(request("b", adapter="pirate")))
    engine.load_adapter("pirate", weights("another pirate"))
    assert drain(engine, answers)["a"].token_ids == expected
    assert isinstance(engine.model.executor, FakeExecutor)
    assert len(engine.model.executor.adapters) == 2, "the old one's slot is free again"


def test_a_cancelled_and_a_refused_request_leave_the_adapter(engine: Engine) -> None:
    engine.add(engine.prepare(request("a", adapter="poet")))
    engine.unload_adapter("poet")
    engine.cancel(0, "a")
    assert isinstance(engine.model.executor, FakeExecutor)
    assert len(engine.model.executor.adapters) == 1


def test_a_slot_is_free_again_after_weights_that_are_refused(engine: Engine) -> None:
    for _ in range(MAX_ADAPTERS):
        with pytest.raises(InvalidParameter, match="cannot be used: no weights"):
            engine.load_adapter("empty", {})
    for index in range(MAX_ADAPTERS - 2):
        engine.load_adapter(str(index), weights("x"))
    with pytest.raises(Conflict, match="unload one first"):
        engine.load_adapter("one more", weights("x"))
