"""Messages that wait for the end of an answer below which they were sent.

Such a message and its answer are stored at once, the run as *waiting*: nothing is lost with the tab or the server. It
is sent on when the answer above it is complete. Where that was stopped, failed or was interrupted, what was typed may
no longer be what is wanted: it waits for its user, who sends it on, changes it or takes it back.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable

from myna.chat import TextPart
from myna.errors import Conflict, InvalidParameter, MynaError
from myna.store import messages, queued, runs
from myna.store.database import Database
from myna.store.records import Message, Run
from myna.store.scope import Scope

logger = logging.getLogger(__name__)

MOST = 20
"""Messages that may wait in one chat."""

Launch = Callable[[Scope, Run, Message], Awaitable[None]]
"""Begins a run when the transaction is committed."""
Admit = Callable[[str], None]
"""Asked before what waits is sent on by itself: raises if its owner has used up what he may."""


def admit_all(owner: str) -> None:
    """Every owner may go on."""


class Queue:
    """The waiting messages of all users."""

    def __init__(self, database: Database, launch: Launch, admit: Admit = admit_all) -> None:
        self._database = database
        self._launch = launch
        self._admit = admit
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def check_room(self, scope: Scope, chat_id: str) -> None:
        """Whether another message may wait in a chat. Raises InvalidParameter."""
        if await queued.count(scope, chat_id) >= MOST:
            raise InvalidParameter(
                f"{MOST} messages wait in this chat already; wait until one is answered, or take one back.",
                param="message",
            )

    def completed(self, owner: str, message_id: str) -> None:
        """An answer is complete: send on what waits below it."""
        if self._closed:
            return
        task = asyncio.create_task(self._send_below(owner, message_id), name=f"after {message_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Send nothing on any more; what waits is stored."""
        self._closed = True
        await asyncio.gather(*self._tasks)  # not cancelled: one may be in the middle of a transaction

    async def send_on(self, owner: str, run_id: str) -> Run:
        """Send a message now whose turn did not come by itself; one that was sent already stays as it is.

        Raises:
            NotFound: the owner has no such run.
            Conflict: the answer above it is still being written, or waits itself.
        """
        async with self._database.write(owner) as scope:
            run = await runs.get(scope, run_id)
            if run.status != "waiting":
                return run
            asked, _ = await self._turn(scope, run)
            if asked.parent_id is not None:
                above = (await messages.of_ids(scope, [asked.parent_id]))[asked.parent_id]
                if above.status in ("running", "waiting"):
                    raise Conflict(f"The answer above is still {above.status}; this message is sent after it.")
            return await self._begin(scope, run)

    async def rewrite(self, owner: str, run_id: str, text: str) -> Message:
        """Change a message that waits.

        Raises:
            NotFound: the owner has no such run.
            Conflict: its turn has come.
        """
        async with self._database.write(owner) as scope:
            asked, _ = await self._turn(scope, await self._waiting(scope, run_id))
            await messages.rewrite(scope, asked.id, (TextPart(text),), edited_at=None)
            return dataclasses.replace(asked, parts=(TextPart(text),))

    async def withdraw(self, owner: str, run_id: str) -> None:
        """Take a message back that waits, and its answer to be; what waits below it moves up.

        Raises:
            NotFound: the owner has no such run.
            Conflict: its turn has come.
        """
        async with self._database.write(owner) as scope:
            asked, answer = await self._turn(scope, await self._waiting(scope, run_id))
            await messages.delete(scope, answer.id, waiting=True)
            await messages.delete(scope, asked.id, waiting=True)

    async def _send_below(self, owner: str, message_id: str) -> None:
        try:
            async with self._database.read(owner) as scope:
                due = await queued.below(scope, message_id)
            for run_id in due:
                self._admit(owner)
                await self.send_on(owner, run_id)
        except MynaError as error:  # it waits on, for its user
            logger.warning("What waited for message %s was not sent on: %s", message_id, error.code)

    async def _begin(self, scope: Scope, run: Run) -> Run:
        asked, answer = await self._turn(scope, run)
        await messages.set_status(scope, asked.id, "complete")
        await messages.set_status(scope, answer.id, "running")
        await runs.set_status(scope, run.id, "queued")
        run = dataclasses.replace(run, status="queued")
        await self._launch(scope, run, dataclasses.replace(answer, status="running"))
        return run

    async def _waiting(self, scope: Scope, run_id: str) -> Run:
        run = await runs.get(scope, run_id)
        if run.status != "waiting":
            raise Conflict("This message waits no longer: it was sent, and its answer is being written.", param="run")
        return run

    async def _turn(self, scope: Scope, run: Run) -> tuple[Message, Message]:
        """A waiting run's message and its answer to be."""
        answer = await messages.get(scope, run.message_id)
        assert answer.parent_id is not None, "an answer has a message above it"
        return await messages.get(scope, answer.parent_id), answer
