from __future__ import annotations

from typing import Any

import pytest

from myna.engine import outbox
from myna.engine.outbox import Outbox
from myna.engine.request import Delta, Finished, Started, TokenLogprob


class Desk:
    """What was delivered, and a clock that stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[int, list[Any]]] = []
        self.now = 100.0
        monkeypatch.setattr(outbox, "_clock", lambda: self.now)
        self.outbox = Outbox(lambda channel, events: self.sent.append((channel, list(events))), 0.01)

    def take(self) -> list[tuple[int, list[Any]]]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def text(name: str, content: str, *ids: int, logprobs: Any = None) -> Delta:
    return Delta(name, content, ids, logprobs)


def test_text_within_a_blink_is_delivered_as_one(desk: Desk) -> None:
    desk.outbox.put({1: [Started("a", 3, 0, 7), text("a", "One", 5)]})
    assert desk.take() == [(1, [text("a", "One", 5), Started("a", 3, 0, 7)])]
    desk.outbox.put({1: [text("a", " two", 6)]})
    desk.outbox.put({1: [text("a", " three", 7), text("a", " four", 8)]})
    assert desk.take() == []
    desk.now += 0.01
    desk.outbox.put({1: [text("a", " five", 9)]})
    assert desk.take() == [(1, [text("a", " two three four five", 6, 7, 8, 9)])]


def test_an_end_is_delivered_at_once_and_takes_all_text_along(desk: Desk) -> None:
    desk.outbox.put({1: [text("a", "x", 1)]})
    desk.take()
    desk.outbox.put({1: [text("a", "One", 5)], 2: [text("b", "uno", 6)]})
    desk.outbox.put({1: [text("a", ".", 7), Finished("a", "stop", 3)]})
    assert sorted(desk.take()) == [
        (1, [text("a", "One.", 5, 7), Finished("a", "stop", 3)]),
        (2, [text("b", "uno", 6)]),
    ]


def test_what_is_held_back_goes_before_a_step_that_may_take_long(desk: Desk) -> None:
    desk.outbox.put({1: [text("a", "x", 1)]})
    desk.take()
    desk.outbox.put({1: [text("a", "One", 5)]})
    desk.outbox.flush()
    assert desk.take() == [(1, [text("a", "One", 5)])]
    desk.outbox.flush()
    assert desk.take() == []


def test_log_probabilities_stay_with_their_tokens(desk: Desk) -> None:
    first, second = TokenLogprob(5, b"One", -1.0), TokenLogprob(6, b" two", -2.0)
    desk.outbox.put({1: [text("a", "x", 1)]})
    desk.take()
    desk.outbox.put({1: [text("a", "One", 5, logprobs=(first,))]})
    desk.outbox.put({1: [text("a", " two", 6, logprobs=(second,))]})
    desk.outbox.flush()
    assert desk.take() == [(1, [text("a", "One two", 5, 6, logprobs=(first, second))])]
