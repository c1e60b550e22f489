"""What was used: at once in memory, where the quotas of a day look, and a moment later in the database.

No request waits for the disk. What a crash takes with it is what the last few seconds used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta

from myna.errors import QuotaExhausted, StoreError
from myna.server.tasks import beside
from myna.store import usage
from myna.store.database import Database
from myna.store.usage import COUNTS, DayUsage

logger = logging.getLogger(__name__)

WRITE_SECONDS = 5.0
"""What is used within so many seconds is written together."""


def utc_now() -> datetime:
    """The moment; days are UTC's."""
    return datetime.now(UTC)


class Usage:
    """What every user and key has used since the start, and today."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._today: dict[str, int] = {}
        self._day = now().date()
        self._unwritten: dict[tuple[str, date, str, str], list[int]] = {}
        self._gone: set[str] = set()
        self._due = asyncio.Event()

    def add(
        self,
        owner: str,
        key: str | None,
        model: str,
        *,
        requests: int = 0,
        prompt: int = 0,
        completion: int = 0,
        timed_tokens: int = 0,
        timed_seconds: float = 0.0,
    ) -> None:
        """Count requests and tokens, and of tokens that were counted how long they took."""
        if owner in self._gone:  # an answer that ends because its user was deleted
            return
        day = self._turn_page()
        self._today[owner] = self._today.get(owner, 0) + prompt + completion
        counts = self._unwritten.setdefault((owner, day, model, key or ""), [0] * len(COUNTS))
        more_of_each = (requests, prompt, completion, timed_tokens, round(timed_seconds * 1000))
        for index, more in enumerate(more_of_each):
            counts[index] += more
        self._due.set()

    def forget(self, owner: str) -> None:
        """A user was deleted, with all rows: nothing of theirs is written any more."""
        self._gone.add(owner)
        self._today.pop(owner, None)

    def today(self, owner: str) -> int:
        """Tokens that somebody has used today."""
        self._turn_page()
        return self._today.get(owner, 0)

    def check(self, owner: str, tokens_per_day: int | None) -> None:
        """Whether any tokens are left for today; None and 0: always.

        Raises:
            QuotaExhausted: there are none.
        """
        self._turn_page()
        if not tokens_per_day or self._today.get(owner, 0) < tokens_per_day:
            return
        now = self._now()
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        raise QuotaExhausted(
            f"You have used your {tokens_per_day} tokens for today; there are new ones at midnight UTC.",
            unit="tokens",
            retry_after=(midnight - now).total_seconds(),
        )

    @asynccontextmanager
    async def stored(self, database: Database) -> AsyncIterator[None]:
        """Take up what today has used before this start, and write what is used from now on."""
        async with database.transaction() as transaction:
            for owner, tokens in (await usage.tokens_of_day(transaction, self._turn_page())).items():
                self._today[owner] = self._today.get(owner, 0) + tokens
        try:
            async with beside(self._write_on(database)):
                yield
        finally:
            with contextlib.suppress(StoreError):  # whoever comes to need the disk will say so
                await self.write(database)

    async def write(self, database: Database) -> None:
        """Write what is not yet written.

        Raises:
            StoreError: it could not be; it is kept.
        """
        self._due.clear()
        taken, self._unwritten = self._unwritten, {}
        try:
            async with database.transaction() as transaction:
                rows = [  # chosen in the writer's turn: whoever is deleted before it is known by then
                    (owner, DayUsage(day, model, key, *counts))
                    for (owner, day, model, key), counts in taken.items()
                    if owner not in self._gone
                ]
                await usage.add(transaction, rows)
                if database.peers is not None:  # others count too
                    owners = {owner for owner, *_ in taken}
                    totals = await usage.tokens_of_day(transaction, self._turn_page(), owners)
                    transaction.after_commit.append(lambda: self._know(totals))
        except BaseException:
            for key, counts in taken.items():
                later = self._unwritten.setdefault(key, [0] * len(COUNTS))
                later[:] = [one + other for one, other in zip(later, counts, strict=True)]
            raise

    def _know(self, totals: dict[str, int]) -> None:
        """What owners have used today as it is stored; what is not written yet comes on top."""
        self._today |= totals
        for (owner, day, *_), (_, prompt, completion, *_) in self._unwritten.items():
            if owner in totals and day == self._day:
                self._today[owner] += prompt + completion

    async def _write_on(self, database: Database) -> None:
        failing = False
        while True:
            await self._due.wait()
            await asyncio.sleep(WRITE_SECONDS)
            # Shielded: a transaction that is cut in two would be counted twice.
            writing = asyncio.ensure_future(self.write(database))
            try:
                await asyncio.shield(writing)
                failing = False
            except asyncio.CancelledError:
                await asyncio.gather(writing, return_exceptions=True)
                raise
            except StoreError:
                if not failing:
                    logger.exception("What is used cannot be stored for now; it is kept in memory")
                failing = True
                self._due.set()

    def _turn_page(self) -> date:
        """Today; at midnight everybody begins anew."""
        day = self._now().date()
        if day != self._day:
            self._day, self._today = day, {}
        return day
