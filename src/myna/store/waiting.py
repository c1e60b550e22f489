"""Waiting for what another process that shares the database writes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from myna.store.database import Database
from myna.store.peers import MISSED

Key = tuple[str, str]
"""Owner and id."""


class Waiting:
    """Who waits for things of one kind, of which the database's triggers tell."""

    def __init__(self, database: Database, kind: str) -> None:
        self._waiting: defaultdict[Key, set[asyncio.Event]] = defaultdict(set)
        database.hear(kind, lambda words: self._wake((words[0], words[1])))
        database.hear(MISSED, lambda _: self._wake(*self._waiting))

    def subscribe(self, key: Key, wake: asyncio.Event) -> None:
        """Set ``wake`` whenever the thing changes."""
        self._waiting[key].add(wake)

    def unsubscribe(self, key: Key, wake: asyncio.Event) -> None:
        waiting = self._waiting[key]
        waiting.discard(wake)
        if not waiting:
            del self._waiting[key]

    async def until(self, key: Key, is_so: Callable[[], Awaitable[bool]], seconds: float | None = None) -> bool:
        """Wait until ``is_so``, which is asked now and after each change; False if that took too long."""
        wake = asyncio.Event()
        self.subscribe(key, wake)
        try:
            async with asyncio.timeout(seconds):
                while not await is_so():
                    await wake.wait()
                    wake.clear()
            return True
        except TimeoutError:
            return False
        finally:
            self.unsubscribe(key, wake)

    def _wake(self, *keys: Key) -> None:
        for key in keys:
            for wake in self._waiting.get(key, ()):
                wake.set()
