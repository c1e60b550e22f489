"""The one writer that commits the logs of all answers of a kind.

It commits whatever is pending in all of them in one transaction, at most once an interval: its cost does not grow with
the number of answers, and the disk is asked a dozen times a second at most.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from myna.store.database import Database
from myna.store.scope import Transaction

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 0.06
RETRY_SECONDS = 1.0


class Log(Protocol):
    """The log of one answer. ``ended`` is set when its last event is committed, or nobody wants it any more."""

    ended: asyncio.Event

    def commit(self) -> None:
        """What the transaction took of it is stored."""


L = TypeVar("L", bound=Log)


class GroupWriter(ABC, Generic[L]):
    """Commits what is pending in all logs. While the disk refuses, it keeps everything and tries again."""

    def __init__(self, database: Database, interval: float = COMMIT_SECONDS) -> None:
        self.failure: Exception | None = None
        self._database = database
        self._interval = interval
        self._dirty: dict[L, None] = {}
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write in the background."""
        self._task = asyncio.create_task(self._write_on(), name=type(self).__name__)

    def add(self, log: L) -> None:
        """A log has something pending."""
        self._dirty[log] = None
        self._due.set()

    async def close(self) -> None:
        """Write what is pending and end.

        Raises:
            StoreError: it could not be written; the next start finds the answers open and marks them interrupted.
        """
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._dirty:
            await self._flush()

    async def _write_on(self) -> None:
        while True:
            await self._due.wait()
            # Shielded: `close` must not cut a transaction in two, or it would commit the same events again.
            flushing = asyncio.ensure_future(self._flush())
            try:
                await asyncio.shield(flushing)
                self.failure = None
                pause = self._interval
            except asyncio.CancelledError:
                await asyncio.gather(flushing, return_exceptions=True)
                raise
            except Exception as error:
                if self.failure is None:
                    logger.exception("Answers cannot be stored for now; trying again every %s s", RETRY_SECONDS)
                self.failure = error
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _flush(self) -> None:
        logs: list[L] = []

        def commit() -> None:
            for log in logs:
                log.commit()

        try:
            async with self._database.transaction() as transaction:
                # Gathered in the writer's turn: nobody can delete these answers before they are stored.
                self._due.clear()
                logs = [log for log in self._dirty if not log.ended.is_set()]
                self._dirty = {}
                await self.store(logs, transaction)
                transaction.after_commit.append(commit)
        except BaseException:
            for log in logs:
                self.add(log)
            raise

    @abstractmethod
    async def store(self, logs: list[L], transaction: Transaction) -> None:
        """Store what is pending in these logs, and what an earlier transaction that failed had taken."""
