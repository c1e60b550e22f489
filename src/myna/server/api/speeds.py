"""How fast the models answer on this machine, from the answers that it has given."""

from __future__ import annotations

import asyncio
import logging

from myna.errors import StoreError
from myna.store import speeds
from myna.store.database import Database
from myna.store.records import Speed, now

logger = logging.getLogger(__name__)

FEWEST_TOKENS = 16
"""Of an answer that is counted: shorter ones are over before the clock says much."""
REMEMBERED_TOKENS = 2000.0
"""What was measured before counts for as many tokens at most, so that the figure follows what changes."""


class Speeds:
    """Tokens a second of each model; kept in memory, and stored after each answer that is counted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Speed] = {}
        self._unsaved: set[str] = set()
        self._saving: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read what was measured before."""
        async with self._database.transaction() as transaction:
            self._known = {speed.model: speed for speed in await speeds.load(transaction)}

    def of(self, model: str) -> float | None:
        """Tokens a second; None before the first answer that is counted."""
        speed = self._known.get(model)
        return None if speed is None else speed.tokens / speed.seconds

    def measure(self, model: str, tokens: int, seconds: float) -> None:
        """Count an answer."""
        if tokens < FEWEST_TOKENS or seconds <= 0:
            return
        before = self._known.get(model, Speed(model, 0, 0, 0))
        share = min(1.0, REMEMBERED_TOKENS / before.tokens) if before.tokens else 0.0
        self._known[model] = Speed(model, before.tokens * share + tokens, before.seconds * share + seconds, now())
        self._unsaved.add(model)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save(), name="save speeds")

    async def close(self) -> None:
        """Wait until everything is stored."""
        if self._saving is not None:
            await self._saving

    async def _save(self) -> None:
        while self._unsaved:
            models, self._unsaved = self._unsaved, set()
            try:
                async with self._database.transaction() as transaction:
                    await speeds.save(transaction, [self._known[model] for model in sorted(models)])
            except StoreError as error:  # nothing is lost but a figure, which the next answer gives again
                logger.warning("The speed of %s was not stored: %s", ", ".join(sorted(models)), error)
