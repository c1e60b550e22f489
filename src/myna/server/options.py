"""What owners decide for everybody, as the server knows it: in memory, stored, and told to whom it concerns."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from myna.server.identity import Identity
from myna.store import audit, options
from myna.store.database import Database
from myna.store.options import Options


class ServerOptions:
    """The options of one server, at ``app.state.options``; until `opened` they are the defaults.

    Attributes:
        current: as they are now. Read it when it is needed, never keep it.
    """

    def __init__(self) -> None:
        self.current = Options()
        self._database: Database
        self._listeners: list[Callable[[Options], None]] = []

    def on_change(self, listener: Callable[[Options], None]) -> None:
        """Call ``listener`` with the options after each change, as soon as it is committed."""
        self._listeners.append(listener)

    @asynccontextmanager
    async def opened(self, database: Database) -> AsyncIterator[None]:
        """Know the options of a database."""
        self._database = database
        async with database.transaction() as transaction:
            self.current = await options.load(transaction)
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

            def follow() -> None:
                self.current = after
                for listener in self._listeners:
                    listener(after)

            transaction.after_commit.append(follow)
        return after
