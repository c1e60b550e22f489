"""Events of a response as server-sent events: numbered in the order in which they are written.

A token costs a few microseconds: what does not change between two pieces of one text is encoded once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from myna.errors import MynaError
from myna.server.errors import describe
from myna.server.openai.sse import encode, pad

Event = dict[str, Any]
"""An event without its number."""


@dataclass(slots=True)
class Piece:
    """A piece of a text: of an answer, of thoughts, or of a call's arguments.

    ``head`` is the event up to the piece. ``logprobs`` are the tokens' own; None where this kind of event has none.
    """

    head: bytes
    text: str
    logprobs: Sequence[dict[str, Any]] | None = None

    def join(self, other: Piece) -> bool:
        """Take in a piece that follows, if it is of the same text."""
        if other.head is not self.head:
            return False
        self.text += other.text
        if self.logprobs is not None:
            self.logprobs = [*self.logprobs, *(other.logprobs or ())]
        return True


def piece_head(kind: str, **place: Any) -> bytes:
    """What all pieces of one text begin with."""
    return b"event: %b\ndata: %b," % (kind.encode(), encode({"type": kind, **place})[:-1])


class FrameWriter:
    """Numbers the events of one response, from ``first`` on. ``padded``: so that lengths tell nothing."""

    def __init__(self, first: int = 0, *, padded: bool = False) -> None:
        self.next = first
        self._padded = padded

    def frame(self, event: Event | Piece) -> bytes:
        """An event as it is sent."""
        number = self.next
        self.next += 1
        if not isinstance(event, Piece):
            frame = b'event: %b\ndata: %b,"sequence_number":%d}\n\n' % (
                event["type"].encode(),
                encode(event)[:-1],
                number,
            )
        elif event.logprobs is None:
            frame = b'%b"delta":%b,"sequence_number":%d}\n\n' % (event.head, encode(event.text), number)
        else:
            logprobs = encode(event.logprobs) if event.logprobs else b"[]"
            frame = b'%b"delta":%b,"logprobs":%b,"sequence_number":%d}\n\n' % (
                event.head,
                encode(event.text),
                logprobs,
                number,
            )
        return pad(frame) if self._padded else frame

    def frames(self, events: Iterable[Event | Piece]) -> bytes:
        """Several events, to be sent together."""
        return b"".join(map(self.frame, events))


def failure(error: MynaError) -> Event:
    """What a stream ends with that cannot go on."""
    about = describe(error)["error"]
    return {"type": "error", "code": about["code"], "message": about["message"], "param": about["param"]}
