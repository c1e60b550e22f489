"""The asynchronous client over a link that only notes what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from myna.backends.client import NativeBackend
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.failures import describe_error
from myna.engine.messages import (
    CallFailed,
    Cancel,
    ClientMessage,
    Detokenize,
    Embed,
    GetStatistics,
    LoadFailed,
    Reply,
    Submit,
    Tokenize,
    group,
)
from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.errors import EngineCrashed, EngineError, InvalidParameter, ModelTooLarge, PromptTooLong
from tests.patience import WAIT_SECONDS


class Link:
    def __init__(self) -> None:
        self.sent: list[ClientMessage] = []
        self.closed = False

    def send(self, message: ClientMessage) -> None:
        self.sent.append(message)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
async def link() -> Link:
    return Link()


@pytest.fixture
async def backend(link: Link) -> NativeBackend:
    return NativeBackend(link)


def request(name: str = "a") -> GenerationRequest:
    return GenerationRequest(name, SamplingParams(), text="hi")


STARTED, DELTA, FINISHED = Started("a", 1, 0, 5), Delta("a", "x", (1,)), Finished("a", "stop", 1)


async def collect(backend: NativeBackend, name: str = "a") -> list[object]:
    return [event async for event in backend.generate(request(name))]


async def until(condition: Callable[[], object]) -> None:
    """Give other tasks turns until something is true."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_events_arrive_in_order_and_only_at_their_request(backend: NativeBackend, link: Link) -> None:
    answers = asyncio.gather(collect(backend, "a"), collect(backend, "b"))
    await until(lambda: len(link.sent) == 2)
    assert backend.num_running == 2
    backend.receive(group([STARTED, Started("b", 2, 0, 6), DELTA]))
    backend.receive(group([Delta("b", "y", (2,)), FINISHED, Finished("b", "length", 1)]))
    a, b = await answers
    assert a == [STARTED, DELTA, FINISHED]
    assert [type(event) for event in b] == [Started, Delta, Finished]
    assert link.sent == [Submit(request("a")), Submit(request("b"))], "nothing is cancelled that ended by itself"
    assert backend.num_running == 0


async def test_a_failure_is_raised_as_the_leaf_it_was(backend: NativeBackend, link: Link) -> None:
    from myna.engine.failures import failed

    answer = asyncio.create_task(collect(backend))
    await until(lambda: link.sent)
    backend.receive(group([failed("a", PromptTooLong(9, 8))]))
    with pytest.raises(PromptTooLong) as caught:
        await answer
    assert (caught.value.tokens, caught.value.limit) == (9, 8)


async def test_closing_the_iterator_cancels(backend: NativeBackend, link: Link) -> None:
    events = backend.generate(request())
    first = asyncio.ensure_future(anext(events))
    await until(lambda: link.sent)
    backend.receive(group([STARTED]))
    assert await first == STARTED
    await events.aclose()
    assert link.sent[-1] == Cancel("a")


async def test_cancelling_the_task_cancels(backend: NativeBackend, link: Link) -> None:
    answer = asyncio.create_task(collect(backend))
    await until(lambda: link.sent)
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert link.sent[-1] == Cancel("a")


async def test_an_id_can_be_used_again_and_late_events_of_the_first_do_not_reach_the_second(
    backend: NativeBackend, link: Link
) -> None:
    first = asyncio.create_task(collect(backend))
    await until(lambda: link.sent)
    with pytest.raises(InvalidParameter, match="in use"):
        await collect(backend)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(collect(backend))
    backend.receive(group([STARTED, DELTA, Finished("a", "cancelled", 1)]))
    await until(lambda: len(link.sent) == 3)
    backend.receive(group([STARTED, FINISHED]))
    assert await second == [STARTED, FINISHED]


async def test_cancel_by_id_still_delivers_the_end(backend: NativeBackend, link: Link) -> None:
    answer = asyncio.create_task(collect(backend))
    await until(lambda: link.sent)
    await backend.cancel("a")
    assert link.sent[-1] == Cancel("a")
    backend.receive(group([STARTED, Finished("a", "cancelled", 0)]))
    assert await answer == [STARTED, Finished("a", "cancelled", 0)]


async def test_calls_are_answered_by_number(backend: NativeBackend, link: Link) -> None:
    calls = asyncio.gather(backend.tokenize("x"), backend.detokenize([7]), backend.statistics())
    await until(lambda: len(link.sent) == 3)
    assert link.sent == [Tokenize(0, "x"), Detokenize(1, [7]), GetStatistics(2)]
    for number, value in [(2, {"steps_total": 1.0}), (0, [5]), (1, "seven")]:
        backend.receive(Reply(number, value))  # type: ignore[arg-type]
    assert list(await calls) == [[5], "seven", {"steps_total": 1.0}]


async def test_a_call_fails_alone(backend: NativeBackend, link: Link) -> None:
    call, given_up = asyncio.create_task(backend.detokenize([999])), asyncio.create_task(backend.tokenize("x"))
    await until(lambda: len(link.sent) == 2)
    given_up.cancel()
    await asyncio.wait([given_up])
    backend.receive(Reply(1, [5]))  # too late, and no harm
    backend.receive(CallFailed(0, *describe_error(InvalidParameter("no token 999", param="token_ids"))))
    with pytest.raises(InvalidParameter, match="no token 999"):
        await call


async def test_the_end_reaches_everyone_who_waits_and_everyone_after(backend: NativeBackend, link: Link) -> None:
    told: list[str] = []
    backend.when_ended(lambda error: told.append(error.message))
    waiting = [asyncio.create_task(each) for each in (collect(backend), backend.statistics(), backend.describe())]
    await until(lambda: len(link.sent) == 2)
    backend.end(EngineCrashed("it was killed"))
    backend.end(EngineError("this comes too late"))
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, EngineCrashed)
    for late in (collect(backend), backend.tokenize("x"), backend.describe()):
        with pytest.raises(EngineCrashed, match="it was killed"):
            await late
    await backend.cancel("a")
    assert told == ["it was killed"]
    assert len(link.sent) == 2, "nothing is sent to the dead"


async def test_what_kept_the_model_from_loading_is_raised(backend: NativeBackend) -> None:
    backend.receive(LoadFailed(*describe_error(ModelTooLarge("needs 9 GB"))))
    with pytest.raises(ModelTooLarge, match="needs 9 GB"):
        await backend.describe()


async def test_closing_ends_requests_and_the_link(backend: NativeBackend, link: Link) -> None:
    answer = asyncio.create_task(collect(backend))
    await until(lambda: link.sent)
    await backend.close()
    assert link.closed
    with pytest.raises(EngineError, match="unloaded"):
        await answer


async def test_a_request_that_cannot_be_sent_leaves_nothing_behind(
    backend: NativeBackend, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(message: ClientMessage) -> None:
        raise InvalidParameter("too long")

    with monkeypatch.context() as patched:
        patched.setattr(link, "send", refuse)
        with pytest.raises(InvalidParameter, match="too long"):
            await collect(backend)
    assert backend.num_running == 0
    assert link.sent == []


async def test_texts_are_embedded_and_a_caller_that_goes_away_cancels(backend: NativeBackend, link: Link) -> None:
    wanted = EmbeddingRequest("a", texts=("hi",))
    embedding = asyncio.create_task(backend.embed(wanted))
    await until(lambda: link.sent)
    backend.receive(group([Embedded("a", (3,), b"\0\0\x80\x3f")]))
    assert (await embedding).vectors == b"\0\0\x80\x3f"
    assert link.sent == [Embed(wanted)]
    assert backend.num_running == 0
    embedding = asyncio.create_task(backend.embed(wanted))
    await until(lambda: len(link.sent) == 2)
    embedding.cancel()
    await until(embedding.done)
    assert link.sent[2:] == [Cancel("a")]
