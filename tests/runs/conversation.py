"""Shorthand for tests that hold a conversation with a `RunService`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from myna.runs.followers import EventFrame, Follower, Frame, SnapshotFrame
from myna.runs.service import Created, NewMessage, NewRun, RunService
from myna.store.records import EndEvent, TextEvent
from tests.runs.scripted import Reply, ScriptedBackend

OWNER = "local"


def new_id() -> str:
    return str(uuid.uuid4())


def new_run(model: str | None = None, **parameters: Any) -> NewRun:
    return NewRun(new_id(), new_id(), model, parameters)


@dataclass
class Talk:
    """One chat of one owner."""

    service: RunService
    backend: ScriptedBackend
    owner: str = OWNER
    chat_id: str = field(default_factory=new_id)

    async def ask(self, text: str, parent_id: str | None = None) -> tuple[Created, Reply]:
        """Send a message; the answer has not begun yet."""
        created = await self.service.send(self.owner, self.chat_id, NewMessage(new_id(), parent_id, text), new_run())
        return created, await self.backend.reply(created.run.id)

    async def exchange(self, text: str, answer: str, parent_id: str | None = None) -> Created:
        """Send a message and have it answered."""
        created, reply = await self.ask(text, parent_id)
        reply.start()
        reply.say(answer)
        reply.finish()
        await self.ended(created.run.id)
        return created

    async def ended(self, run_id: str) -> None:
        """Wait for the end of a run."""
        if (log := self.service.live(self.owner, run_id)) is not None:
            await log.ended.wait()

    async def text_of(self, message_id: str) -> str:
        (message,), _ = await self.service.contents(self.owner, self.chat_id, [message_id])
        return message.text


class Listener:
    """Collects what a follower gets, as a tab would."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.frames: list[Frame] = []

    async def until_end(self, run_id: str) -> list[Frame]:
        """Listen until this run is over; every frame since the beginning."""
        while not any(is_end(frame, run_id) for frame in self.frames):
            await self.more()
        return self.frames

    async def until_text(self, run_id: str, text: str) -> None:
        """Listen until the answer reads as given."""
        while self.text(run_id) != text:
            await self.more()

    async def more(self) -> None:
        await self.follower.wake.wait()
        await self.drain()

    async def drain(self) -> None:
        self.follower.wake.clear()
        async for frame in self.follower.pending():
            self.frames.append(frame)

    def events(self, run_id: str) -> list[EventFrame]:
        return [frame for frame in self.frames if isinstance(frame, EventFrame) and frame.run_id == run_id]

    def text(self, run_id: str) -> str:
        """What a browser would show."""
        shown = ""
        for frame in self.frames:
            if isinstance(frame, SnapshotFrame) and frame.run_id == run_id:
                shown = frame.message.text
            elif isinstance(frame, EventFrame) and frame.run_id == run_id and isinstance(frame.event, TextEvent):
                shown += frame.event.text
        return shown


def is_end(frame: Frame, run_id: str) -> bool:
    if isinstance(frame, SnapshotFrame):
        return frame.run_id == run_id and frame.message.status != "running"
    return isinstance(frame, EventFrame) and frame.run_id == run_id and isinstance(frame.event, EndEvent)
