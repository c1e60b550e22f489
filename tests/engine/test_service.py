"""The service without a process around it: its loop in a thread, its messages in a queue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from myna.engine.messages import (
    CallFailed,
    Cancel,
    EncodePrompt,
    EngineMessage,
    Events,
    GetStatistics,
    Reply,
    Submit,
    Tokenize,
)
from myna.engine.options import EngineOptions
from myna.engine.request import Event, GenerationRequest, SamplingParams
from myna.engine.service import Service
from tests.patience import WAIT_SECONDS

from .fakes import Answer


class Desk:
    """A running service and what it has sent."""

    def __init__(self, path: Path) -> None:
        self.sent: SimpleQueue[tuple[int, EngineMessage]] = SimpleQueue()
        options = EngineOptions(name="tiny", path=str(path), threads=1, kv_cache_bytes=4 << 20)
        self.service = Service(options, lambda channel, message: self.sent.put((channel, message)))
        self.answers: dict[tuple[int, str], Answer] = {}
        self.replies: list[Reply | CallFailed] = []

    def until(self, channel: int, name: str) -> Answer:
        """Take what is sent until a request has ended."""
        answer = self.answers.setdefault((channel, name), Answer())
        while answer.finished is None and answer.failed is None:
            self._take(*self.sent.get(timeout=WAIT_SECONDS))
        return answer

    def _take(self, channel: int, message: EngineMessage) -> None:
        if isinstance(message, Events):
            events: list[Event] = [*message.started, *message.deltas, *message.finished, *message.failed]
            for event in events:
                self.answers.setdefault((channel, event.request_id), Answer()).take(event)
        elif isinstance(message, Reply | CallFailed):
            self.replies.append(message)


@pytest.fixture
def desk(tiny_model: Path) -> Iterator[Desk]:
    desk = Desk(tiny_model)
    thread = threading.Thread(target=desk.service.run)
    thread.start()
    yield desk
    desk.service.close()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def submit(name: str, **params: Any) -> Submit:
    params = {"seed": 1, "max_tokens": 10, "ignore_eos": True} | params
    return Submit(GenerationRequest(name, SamplingParams(**params), text="The fox"))


@pytest.fixture
def held(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Requests called ``slow`` are not prepared before this is set."""
    released = threading.Event()
    prepare = desk.service._engine.prepare

    def prepare_slowly(request: GenerationRequest, channel: int) -> Any:
        if request.id == "slow":
            assert released.wait(WAIT_SECONDS)
        return prepare(request, channel)

    monkeypatch.setattr(desk.service._engine, "prepare", prepare_slowly)
    return released


def test_a_slow_prompt_holds_up_nobody_else(desk: Desk, held: threading.Event) -> None:
    desk.service.handle(1, submit("slow"))
    desk.service.handle(1, submit("quick"))
    assert desk.until(1, "quick").finished
    held.set()
    assert desk.until(1, "slow").finished


@pytest.mark.parametrize("how", ["cancel", "disconnect"])
def test_a_request_can_be_cancelled_before_it_is_prepared(desk: Desk, held: threading.Event, how: str) -> None:
    desk.service.handle(1, submit("slow"))
    if how == "cancel":
        desk.service.handle(1, Cancel("slow"))
    else:
        desk.service.disconnect(1)
    desk.service.handle(2, submit("later"))
    desk.until(2, "later")  # by now the above was heard
    held.set()
    finished = desk.until(1, "slow").finished
    assert finished is not None
    assert (finished.reason, finished.completion_tokens) == ("cancelled", 0)
    desk.answers.clear()
    desk.service.handle(1, submit("slow"))
    finished = desk.until(1, "slow").finished
    assert finished is not None
    assert finished.reason == "length", "only the first of this name was cancelled"


class PanicException(BaseException):
    """What a panic in a Rust library becomes; like theirs, no Exception."""


@pytest.mark.parametrize("problem", [KeyError, PanicException])
def test_what_breaks_inside_is_an_error_that_names_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, problem: type[BaseException]
) -> None:
    def broken(*_: object) -> None:
        raise problem("weights")

    monkeypatch.setattr(desk.service._engine, "prepare", broken)
    desk.service.handle(1, submit("a"))
    failed = desk.until(1, "a").failed
    assert failed is not None
    assert failed.error == "EngineError"
    assert f"{problem.__name__}: {problem('weights')}" in failed.message


def test_calls_are_answered_while_the_engine_sleeps(desk: Desk) -> None:
    desk.service.handle(1, Tokenize(1, "The fox"))
    desk.service.handle(1, GetStatistics(2))
    sent = [desk.sent.get(timeout=WAIT_SECONDS)[1] for _ in range(2)]
    replies = {reply.call: reply.value for reply in sent if isinstance(reply, Reply)}
    assert isinstance(replies[1], list)
    assert isinstance(replies[2], dict)
    assert replies[2]["resident_bytes"] > 1e6


def test_a_long_text_holds_up_no_other_call(desk: Desk, held: threading.Event) -> None:
    desk.service.handle(1, EncodePrompt(1, submit("slow").request))
    desk.service.handle(1, Tokenize(2, "The fox"))
    _, quick = desk.sent.get(timeout=WAIT_SECONDS)
    held.set()
    _, slow = desk.sent.get(timeout=WAIT_SECONDS)
    assert isinstance(quick, Reply)
    assert isinstance(slow, Reply)
    assert (quick.call, slow.call) == (2, 1)
    assert quick.value == slow.value
