"""What one browser tab follows: any number of runs, and its owner's lists, each from a cursor.

A follower holds cursors, never events: it reads what is due from the runs' windows and the changes table when it is
asked to, so a slow tab costs nothing but its distance, and one that falls too far behind gets a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from myna.errors import InvalidParameter
from myna.runs.elsewhere import Elsewhere
from myna.runs.log import RunLog
from myna.store import changes, chats, messages, preferences, projects, runs
from myna.store.database import Database
from myna.store.preferences import Preferences
from myna.store.records import Change, ChangeKind, Chat, EndEvent, Message, Project, Run, RunEvent

Listed = Chat | Message | Run | Project | Preferences
"""What the lists are lists of."""
MAX_FOLLOWED = 100
_BATCH = 200


@dataclass(frozen=True, slots=True)
class EventFrame:
    """One event of a run."""

    run_id: str
    seq: int
    event: RunEvent


@dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """An answer as of event ``seq``; events go on from there, if the run does."""

    run_id: str
    seq: int
    message: Message


@dataclass(frozen=True, slots=True)
class ChangeFrame:
    """A change of the lists, with what the thing is now; None for what is deleted."""

    cursor: int
    kind: ChangeKind
    id: str
    data: Listed | None


@dataclass(frozen=True, slots=True)
class ResetFrame:
    """Changes were missed for good; those after ``cursor`` follow."""

    cursor: int


Frame = EventFrame | SnapshotFrame | ChangeFrame | ResetFrame


class Live(Protocol):
    """Where open runs are found: `myna.runs.service.RunService`."""

    elsewhere: Elsewhere

    def live(self, owner: str, run_id: str) -> RunLog | None: ...


class Follower:
    """One tab. Whoever owns it waits for ``wake`` and then sends what `pending` gives."""

    def __init__(
        self,
        database: Database,
        live: Live,
        owner: str,
        on_close: Callable[[Follower], None],
        wake: asyncio.Event | None = None,
    ) -> None:
        self.owner = owner
        self.wake = asyncio.Event() if wake is None else wake
        self._database = database
        self._live = live
        self._on_close = on_close
        self._cursors: dict[str, int] = {}
        self._logs: dict[str, RunLog] = {}
        self._lists: int | None = None
        self._lists_due = False

    async def follow(self, run_id: str, after: int) -> None:
        """Follow a run from after its event ``after``; again from there if it is followed already.

        Raises:
            NotFound: the owner has no such run.
            InvalidParameter: too many runs are followed.
        """
        self.unfollow(run_id)
        if len(self._cursors) >= MAX_FOLLOWED:
            raise InvalidParameter(f"At most {MAX_FOLLOWED} runs can be followed at once; unfollow some.", param="run")
        log = self._live.live(self.owner, run_id)
        if log is None:
            async with self._database.read(self.owner) as scope:
                run = await runs.get(scope, run_id)
            if run.is_open:  # it has just begun or ended
                await self._database.settled()
                log = self._live.live(self.owner, run_id)
        if log is not None:
            self._logs[run_id] = log
            log.subscribe(self.wake)
        else:
            self._live.elsewhere.waiting.subscribe((self.owner, run_id), self.wake)
        self._cursors[run_id] = after
        self.wake.set()

    def unfollow(self, run_id: str) -> None:
        """Follow a run no longer; not an error if it was not followed."""
        if self._cursors.pop(run_id, None) is None:
            return
        if (log := self._logs.pop(run_id, None)) is not None:
            log.unsubscribe(self.wake)
        else:
            self._live.elsewhere.waiting.unsubscribe((self.owner, run_id), self.wake)

    def follow_lists(self, after: int) -> None:
        """Follow the owner's lists from after the change ``after``."""
        self._lists = after
        self.lists_changed()

    def lists_changed(self) -> None:
        """There may be changes to send."""
        self._lists_due = True
        self.wake.set()

    @property
    def lists_cursor(self) -> int | None:
        """How far the lists were given; None while they are not followed."""
        return self._lists

    def close(self) -> None:
        """Follow nothing any more."""
        for run_id in list(self._cursors):
            self.unfollow(run_id)
        self._on_close(self)

    async def pending(self) -> AsyncIterator[Frame]:
        """Everything due now, fairly among the runs, until there is nothing left. A frame given is not given again."""
        more = True
        while more:
            more = False
            for run_id in list(self._cursors):
                if run_id not in self._cursors:  # unfollowed while a frame was sent
                    continue
                for frame in await self._of_run(run_id):
                    more = True
                    yield frame
            if self._lists_due:
                more = True
                for change in await self._of_lists():
                    yield change

    async def _of_run(self, run_id: str) -> list[Frame]:
        log = self._logs.get(run_id)
        if log is None:
            return await self._stored(run_id)
        events = log.after(self._cursors[run_id], _BATCH)
        if events is None:
            run, message = log.snapshot()
            self._cursors[run_id] = run.last_event
            if log.ended.is_set():
                return await self._stored(run_id)
            return [SnapshotFrame(run_id, run.last_event, message)]
        if events:
            seq, event = events[-1]
            self._cursors[run_id] = seq
            if isinstance(event, EndEvent):
                self.unfollow(run_id)
        return [EventFrame(run_id, seq, event) for seq, event in events]

    async def _stored(self, run_id: str) -> list[Frame]:
        """What the database has of a run that another process writes, or that is over: then its message is left."""
        async with self._database.read(self.owner) as scope:
            run = await runs.find(scope, run_id)
            if run is not None and self._live.elsewhere.has(run):
                events = await runs.events_after(scope, run_id, self._cursors[run_id], _BATCH)
                if events:
                    self._cursors[run_id] = events[-1][0]
                return [EventFrame(run_id, seq, event) for seq, event in events]
            message = run and await messages.find(scope, run.message_id)
        self.unfollow(run_id)
        return [SnapshotFrame(run_id, run.last_event, message)] if run and message else []

    async def _of_lists(self) -> list[ChangeFrame | ResetFrame]:
        self._lists_due = False
        if self._lists is None:
            return []
        async with self._database.read(self.owner) as scope:
            found = await changes.after(scope, self._lists, _BATCH)
            if found is None:
                self._lists = await changes.latest(scope)
                return [ResetFrame(self._lists)]
            newest = {(change.kind, change.id): change for change in found}

            def ids(kind: ChangeKind) -> list[str]:
                return [id_ for kind_, id_ in newest if kind_ == kind]

            data: dict[str, Listed] = {}
            if wanted := ids("chat"):
                data |= await chats.of_ids(scope, wanted)
            if wanted := ids("message"):
                data |= await messages.of_ids(scope, wanted)
            if wanted := ids("run"):
                data |= await runs.of_ids(scope, wanted)
            if wanted := ids("preferences"):
                data |= dict.fromkeys(wanted, await preferences.get(scope))
            if wanted := ids("project"):
                data |= await projects.of_ids(scope, wanted)
        if found:
            self._lists = found[-1].cursor
            self._lists_due |= len(found) == _BATCH  # set already, if something was committed during the read
        frames = (_frame(change, data) for change in found if newest[change.kind, change.id] is change)
        return [frame for frame in frames if frame is not None]


def _frame(change: Change, data: dict[str, Listed]) -> ChangeFrame | None:
    if change.kind in ("chat_deleted", "message_deleted", "project_deleted"):
        return ChangeFrame(change.cursor, change.kind, change.id, None)
    if change.id not in data:  # deleted since; that change follows
        return None
    return ChangeFrame(change.cursor, change.kind, change.id, data[change.id])
