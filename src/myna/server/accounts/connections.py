"""The requests and WebSockets that are being answered, to end those of a caller who may not go on."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextvars import ContextVar

from myna.server.identity import Identity


class Connection:
    """One request or WebSocket and the task that answers it."""

    __slots__ = ("identity", "revoked", "task")

    def __init__(self, identity: Identity, task: asyncio.Task[object]) -> None:
        self.identity = identity
        self.task = task
        self.revoked = False


_answered: ContextVar[Connection | None] = ContextVar("answered", default=None)
"""The connection for which something is done, also by a task that was begun for it."""


def who_asks() -> asyncio.Task[object] | None:
    """The task that answers the connection for which this is done."""
    connection = _answered.get()
    return None if connection is None else connection.task


class Connections:
    """All that are open, by user."""

    def __init__(self) -> None:
        self._open: defaultdict[str, set[Connection]] = defaultdict(set)

    def add(self, identity: Identity) -> Connection:
        """Take up the connection that the running task answers."""
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(identity, task)
        self._open[identity.user].add(connection)
        _answered.set(connection)
        return connection

    def discard(self, connection: Connection) -> None:
        """It is over."""
        user = connection.identity.user
        self._open[user].discard(connection)
        if not self._open[user]:
            del self._open[user]

    def end(
        self,
        user: str,
        *,
        but: asyncio.Task[object] | None = None,
        which: Callable[[Identity], bool] = lambda identity: True,
    ) -> None:
        """End a user's connections by cancelling their tasks, as when a client goes; the guard says why to the client.

        Args:
            user: whose.
            but: the task that asks for it, which is to give its answer yet.
            which: of them, those with such an identity.
        """
        for connection in list(self._open.get(user, ())):
            if connection.task is not but and which(connection.identity) and not connection.revoked:
                connection.revoked = True
                connection.task.cancel()

    def expire(self, is_over: Callable[[Identity], bool]) -> None:
        """End every user's connections of which this is true."""
        for user in list(self._open):
            self.end(user, which=is_over)
