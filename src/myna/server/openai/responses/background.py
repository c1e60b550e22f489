"""A response that runs without a client: its events are numbered and stored before anybody sees them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from myna.engine.request import GenerationRequest
from myna.errors import EngineError, MynaError
from myna.runs.writer import GroupWriter
from myna.server.caller import CallersModel
from myna.server.openai.responses.context import in_terms_of_responses
from myna.server.openai.responses.frames import Event, FrameWriter, Piece
from myna.server.openai.responses.items import Item
from myna.server.openai.responses.output import Output
from myna.server.openai.sse import pad

logger = logging.getLogger(__name__)

INTERRUPTED = EngineError("Interrupted: the server was stopped before the response was complete; send it again.")


@dataclass(frozen=True, slots=True)
class Job:
    """Whose response it is, and what belongs to it in the store.

    Attributes:
        owner: whose it is.
        id: of the response.
        previous_id: the response it goes on from.
        conversation_id: the conversation that it adds to.
        given: the items of the request.
        stored: whether the response is kept.
    """

    owner: str
    id: str
    previous_id: str | None
    conversation_id: str | None
    given: list[Item]
    stored: bool


class EventLog:
    """The events of one open response. An event's number is its place in ``frames``, once it is committed."""

    def __init__(self, job: Job, output: Output, writer: GroupWriter[EventLog]) -> None:
        self.job = job
        self.output = output
        self.frames: list[bytes] = []
        self.has_begun = False
        self.ended = asyncio.Event()
        self._writer = writer
        self._numbers = FrameWriter()
        self._pending: list[Event | Piece] = []
        self._in_flight: list[bytes] = []
        self._flying_end = False
        self._followers: set[asyncio.Event] = set()

    def append(self, events: Iterable[Event | Piece]) -> None:
        """Take events, to be stored soon."""
        self.add(events)
        if self._pending:
            self._writer.add(self)

    def add(self, events: Iterable[Event | Piece]) -> None:
        """Take events that whoever gives them stores. A piece joins the one before it that is pending already."""
        for event in events:
            last = self._pending[-1] if self._pending else None
            if not (isinstance(event, Piece) and isinstance(last, Piece) and last.join(event)):
                self._pending.append(event)

    def take(self) -> list[tuple[int, bytes]]:
        """Put what is pending in flight, together with what a failed transaction left there; with its numbers."""
        pending, self._pending = self._pending, []
        self._in_flight += map(self._numbers.frame, pending)
        self._flying_end = self.output.ended
        return list(enumerate(self._in_flight, len(self.frames)))

    @property
    def is_ending(self) -> bool:
        """Whether what is in flight is the rest."""
        return self._flying_end

    def note_begun(self) -> None:
        """That it is being written is stored."""
        self.has_begun = True

    def commit(self) -> None:
        """What was in flight is stored: show it to the followers."""
        self.frames += self._in_flight
        self._in_flight = []
        if self._flying_end:
            self.ended.set()
        self._wake()

    def discard(self) -> None:
        """The response is deleted: forget what is not stored."""
        self._pending, self._in_flight = [], []
        self.ended.set()
        self._wake()

    async def follow(
        self, after: int, *, padded: bool = False, writer: FrameWriter | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The committed events after number ``after``, and then each as soon as it is committed.

        ``writer`` is kept at the number of the last one: an event that is not of the response has no number of its own.
        """
        sent = after + 1
        wake = asyncio.Event()
        self._followers.add(wake)
        try:
            while True:
                wake.clear()
                if due := self.frames[sent:]:
                    sent += len(due)
                    if writer is not None:
                        writer.next = sent - 1
                    yield b"".join(map(pad, due) if padded else due)
                elif self.ended.is_set():
                    return
                else:
                    await wake.wait()
        finally:
            self._followers.discard(wake)

    def _wake(self) -> None:
        for wake in self._followers:
            wake.set()


class BackgroundRun:
    """The task of one response. It always ends its log, whatever happens."""

    def __init__(self, log: EventLog, model: CallersModel, request: GenerationRequest, room: asyncio.Semaphore) -> None:
        self.log = log
        self._model = model
        self._request = request
        self._room = room
        self._ended_as: Literal["cancelled", "interrupted"] = "interrupted"
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._generate(), name=f"response {self.log.job.id}")
        self._task.add_done_callback(self._over)

    async def end(self, how: Literal["cancelled", "interrupted"]) -> None:
        """End it with what it has; return when the task is over."""
        self._ended_as = how
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def cancel(self) -> None:
        """End it as cancelled, with what it has, and do not wait for that."""
        self._ended_as = "cancelled"
        if self._task is not None:
            self._task.cancel()

    def drop(self) -> None:
        """End it and store nothing more of it: its owner is gone."""
        self.log.discard()
        if self._task is not None:
            self._task.cancel()

    async def _generate(self) -> None:
        output = self.log.output
        async with self._room:
            self._model.check_quota()  # others of the same user may have used it up since this one was let in
            self.log.append(output.begin())
            async with aclosing(self._model.generate(self._request)) as events:
                async for event in events:
                    self.log.append(output.take(event))

    def _over(self, task: asyncio.Task[None]) -> None:
        # A callback, not a `finally` in the task: a task that is cancelled before its first step runs none.
        output = self.log.output
        if output.ended or self.log.ended.is_set():
            if not task.cancelled():
                task.exception()  # looked at, so that nobody complains
            return
        if task.cancelled():
            self.log.append(output.cancel() if self._ended_as == "cancelled" else output.fail(INTERRUPTED))
        elif isinstance(error := task.exception(), MynaError):
            self.log.append(output.fail(in_terms_of_responses(error)))
        else:
            logger.error("Response %s failed", self.log.job.id, exc_info=error)
            hidden = MynaError("Something went wrong inside Myna; the server's log says what.")
            self.log.append(output.fail(hidden))


def written(frames: Iterable[bytes]) -> list[Item]:
    """The items that a log tells of, as far as it goes; what was not done is incomplete."""
    items: list[Item] = []
    texts: dict[int, list[str]] = {}
    for frame in frames:
        event: dict[str, Any] = json.loads(frame.split(b"\ndata: ", 1)[1])
        kind: str = event["type"]
        if kind == "response.output_item.added":
            items.append(event["item"] | {"status": "incomplete"})
        elif kind == "response.output_item.done":
            items[event["output_index"]] = event["item"]
        elif kind.endswith(".delta"):
            texts.setdefault(event["output_index"], []).append(event["delta"])
    for index, item in enumerate(items):
        text = "".join(texts.get(index, ()))
        if item["status"] != "incomplete" or not text:
            continue
        match item["type"]:
            case "function_call":
                item["arguments"] = text
            case "message":
                item["content"] = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
            case _:
                item["content"] = [{"type": "reasoning_text", "text": text}]
    return items
