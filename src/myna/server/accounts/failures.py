"""Writing down attempts to sign in that failed: all of a person's mistakes, and of a flood that there was one."""

from __future__ import annotations

import time
from collections.abc import Callable

from myna.store import audit
from myna.store.database import Database
from myna.store.users import User

MOST_A_MINUTE = 30
"""Entries that strangers can cause; what is beyond them is counted, and told with the next one."""


class Failures:
    """Failed attempts of one server. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minute = clock()
        self._written = 0
        self._unwritten = 0

    async def note(self, database: Database, user: User | None, reason: str) -> None:
        """Write down an attempt, or count it where too many were written in this minute.

        Args:
            database: where the audit log is.
            user: in whose name; None: a name that nobody has, which is not written down: it may be a password that was
                typed into the wrong field.
            reason: code of the error.
        """
        if self._clock() - self._minute >= 60:
            self._minute, self._written = self._clock(), 0
        if self._written >= MOST_A_MINUTE:
            self._unwritten += 1
            return
        self._written += 1
        details = {"reason": reason, "name": None if user is None else user.name, "unwritten": self._unwritten}
        self._unwritten = 0
        async with database.transaction() as transaction:
            user_id = "" if user is None else user.id
            await audit.record(transaction, "", "session.fail", "user", user_id, **details)
