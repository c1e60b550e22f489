"""What owners decide for everybody, as the server knows it: in memory, stored, and told to whom it concerns."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from myna.errors import StoreError
from myna.server.identity import Identity
from myna.server.tasks import beside
from myna.store import audit, options
from myna.store.database import Database
from myna.store.options import Options
from myna.store.peers import MISSED

logger = logging.getLogger(__name__)


class ServerOptions:
    """The options of one server, at ``app.state.options``; until `opened` they are the defaults.

    Attributes:
        current: as they are now. Read it when it is needed, never keep it.
    """

    def __init__(self) -> None:
        self.current = Options()
        self._database: Database
        self._listeners: list[Callable[[Options], None]] = []
        self._changed_elsewhere = asyncio.Event()

    def on_change(self, listener: Callable[[Options], None]) -> None:
        """Call ``listener`` with the options after each change, as soon as it is committed."""
        self._listeners.append(listener)

    @asynccontextmanager
    async def opened(self, database: Database) -> AsyncIterator[None]:
        """Know the options of a database."""
        self._database = database
        for kind in ("options", MISSED):
            database.hear(kind, lambda _: self._changed_elsewhere.set())
        async with database.transaction() as transaction:
            self.current = await options.load(transaction)
        async with beside(self._follow()):
            yield

    async def change(self, by: Identity, **values: Any) -> Options:
        """Change fields of `Options`, whose values were checked; only what differs is stored and told."""
        async with self._database.transaction() as transaction:
            before = self.current
            differing = {name: value for name, value in values.items() if getattr(before, name) != value}
            if not differing:
                return before
            after = dataclasses.replace(before, **differing)
            await options.save(transaction, **differing)
            changes = {name: [getattr(before, name), value] for name, value in differing.items()}
            await audit.record(transaction, by, "options.change", "options", "", changes=changes)

            transaction.after_commit.append(lambda: self._take(after))
        return after

    def _take(self, after: Options) -> None:
        self.current = after
        for listener in self._listeners:
            listener(after)

    async def _follow(self) -> None:
        """Take over what another process that shares the database has changed."""
        while True:
            await self._changed_elsewhere.wait()
            self._changed_elsewhere.clear()
            try:
                async with self._database.transaction() as transaction:
                    after = await options.load(transaction)
                    transaction.after_commit.append(partial(self._take, after))
            except StoreError as error:
                logger.warning("The options could not be read again: %s", error.message)
