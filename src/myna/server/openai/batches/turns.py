"""How many lines of all batches are worked on at once, and whose is next."""

from __future__ import annotations

import asyncio
from collections import Counter

Key = tuple[str, str]
"""A batch: its owner and its id."""


class Turns:
    """A number of turns, shared fairly: owners have as many as each other, and so have an owner's batches.

    A batch that has none gets one at once, so that lines which wait for something hold up no other batch.
    """

    def __init__(self, count: int) -> None:
        self.free = count
        self._held: Counter[Key] = Counter()
        self._owners: Counter[str] = Counter()
        self._waiting: dict[Key, asyncio.Future[None]] = {}

    async def take(self, key: Key) -> None:
        """Wait for a turn. One task a batch waits at a time."""
        if not self._held[key] or (self.free > 0 and not self._waiting):
            self._grant(key)
            return
        assert key not in self._waiting
        turn = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            await turn
        except asyncio.CancelledError:
            if self._waiting.get(key) is turn:
                del self._waiting[key]
            elif not turn.cancelled():
                self.give(key)  # it came too late
            raise

    def give(self, key: Key) -> None:
        """Give a turn back."""
        self.free += 1
        self._held[key] -= 1
        self._owners[key[0]] -= 1
        if not self._held[key]:
            del self._held[key]
        if not self._owners[key[0]]:
            del self._owners[key[0]]
        while self.free > 0 and self._waiting:
            following = min(self._waiting, key=lambda each: (self._owners[each[0]], self._held[each]))
            turn = self._waiting.pop(following)
            if not turn.done():
                self._grant(following)
                turn.set_result(None)

    def _grant(self, key: Key) -> None:
        self.free -= 1
        self._held[key] += 1
        self._owners[key[0]] += 1
