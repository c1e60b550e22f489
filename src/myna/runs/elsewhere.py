"""Runs that this process does not write: another one does, as the database has them, or one did until it died."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from myna.runs.log import fold
from myna.store import messages, runs
from myna.store.database import Database
from myna.store.records import Message, Run
from myna.store.scope import Scope
from myna.store.waiting import Waiting

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""How long stopping a run waits for the process that writes it."""


class Elsewhere:
    """The runs of other processes, those that have died among them.

    ``is_here`` tells, by owner and id, whether this process writes a run.
    """

    def __init__(self, database: Database, is_here: Callable[[str, str], object]) -> None:
        self._database = database
        self._is_here = is_here
        self.waiting = Waiting(database, "run")

    def has(self, run: Run) -> bool:
        """Whether an open run is written by another process."""
        return run.is_open and run.server != self._database.server

    async def mark_left_open(self) -> None:
        """Mark what a process that died has left as interrupted, with the text it had.

        So with a run of this process's own that it does not write: the word of the commit that made it was lost.
        """
        async with self._database.transaction() as transaction:
            living = await self._database.living(transaction)
            others = None if living is None else living - {self._database.server}
            for owner, run in await runs.left_open(transaction, others):
                if self._is_here(owner, run.id):
                    continue
                scope = transaction.owned_by(owner)
                last, tokenizer, texts = await runs.logged(scope, run.id)
                message = await messages.get(scope, run.message_id)
                parts = fold(message.parts, tokenizer, texts)
                await messages.finish(scope, message.id, parts_now=parts, status="interrupted", usage=None, error=None)
                await runs.set_status(scope, run.id, "interrupted", last_event=last + 1)
                logger.warning("Run %s was cut off by a crash; its answer is kept as interrupted", run.id)

    async def stop(self, owner: str, run_id: str) -> None:
        """Ask for a run's end, and wait for it a while."""
        async with self._database.transaction() as transaction:
            transaction.tell("stop", owner, run_id)

        async def is_over() -> bool:
            async with self._database.read(owner) as scope:
                run = await runs.find(scope, run_id)
            return run is None or not run.is_open

        await self.waiting.until((owner, run_id), is_over, STOP_SECONDS)


async def as_stored(scope: Scope, run: Run, answer: Message) -> tuple[Run, Message]:
    """An open run and its answer as of the last event that is stored."""
    last, tokenizer, texts = await runs.logged(scope, run.id)
    return (
        dataclasses.replace(run, status="running" if last else run.status, last_event=last),
        dataclasses.replace(answer, parts=fold(answer.parts, tokenizer, texts)),
    )
