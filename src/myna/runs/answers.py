"""The answers that this process writes: found by their runs, and ended, be it at another process's word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from myna.runs.answer import Answer
from myna.runs.log import RunLog
from myna.store import runs
from myna.store.database import Database


class Answers:
    """All that are at work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._at_work: dict[tuple[str, str], Answer] = {}
        self._noticed: set[asyncio.Task[object]] = set()
        database.hear("stop", lambda words: self._notice(words, Answer.stop))
        database.hear("run", lambda words: self._notice(words, self._look_again))

    def __iter__(self) -> Iterator[Answer]:
        return iter(list(self._at_work.values()))

    def begin(self, answer: Answer) -> None:
        """Start one, which can be found from now on."""
        self._at_work[answer.log.owner, answer.log.run.id] = answer
        answer.start()

    def over(self, owner: str, run_id: str) -> None:
        """The log of one has ended; so does the answer, of which a log that was discarded knows nothing."""
        if (answer := self._at_work.pop((owner, run_id), None)) is not None:
            answer.abandon()

    def find(self, owner: str, run_id: str) -> Answer | None:
        """The answer of a run, if it is at work here."""
        return self._at_work.get((owner, run_id))

    def log(self, owner: str, run_id: str) -> RunLog | None:
        """The log of an open run."""
        answer = self.find(owner, run_id)
        return None if answer is None or answer.log.ended.is_set() else answer.log

    def of(self, owner: str) -> list[Answer]:
        """Those of an owner."""
        return [answer for answer in self if answer.log.owner == owner]

    def interrupt(self, owner: str) -> None:
        """End an owner's answers with what they have; they can be carried on."""
        for answer in self.of(owner):
            answer.abandon()

    def forget(self, owner: str) -> None:
        """The owner is gone with all his rows, by the transaction that is committed now: end them unwritten."""
        for answer in self.of(owner):
            answer.log.discard()
            answer.abandon()

    async def close(self) -> None:
        """End them all with what they have."""
        for answer in self:
            await answer.interrupt()

    def _notice(self, words: list[str], act: Callable[[Answer], Coroutine[Any, Any, object]]) -> None:
        """Another process has told something of a run, by owner and id; act if this one writes it."""
        if (answer := self.find(words[0], words[1])) is not None:
            task = asyncio.create_task(act(answer))
            self._noticed.add(task)
            task.add_done_callback(self._noticed.discard)

    async def _look_again(self, answer: Answer) -> None:
        """Another process has changed a run that this one writes: it may have deleted it with its chat."""
        async with self._database.read(answer.log.owner) as scope:
            gone = await runs.find(scope, answer.log.run.id) is None
        if gone:
            answer.log.discard()
            await answer.interrupt()
