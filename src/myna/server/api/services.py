"""What the routes work with: opened when the server starts, closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from myna.backends.manager import ModelManager
from myna.errors import MynaError
from myna.hub import Hub
from myna.runs.answer import measure_nothing, spend_freely
from myna.runs.queue import Admit, admit_all
from myna.runs.service import RunService
from myna.runs.temporary import TemporaryChat, TemporaryChats
from myna.server.accounts import Accounts
from myna.server.api.library import Library
from myna.server.api.licence_gate import LicenceGate
from myna.server.api.speeds import Speeds
from myna.server.identity import owner_of
from myna.server.meter import Meter, Work, admit
from myna.store.database import Database
from myna.store.place import FAILED


class ApiServices:
    """The database, the runs and the models of one server."""

    def __init__(
        self,
        database: Database,
        runs: RunService,
        temporary: TemporaryChats,
        library: Library,
        manager: ModelManager,
    ) -> None:
        self.database = database
        self.profile: Database | None = None  # no other than its own
        self.runs = runs
        self.temporary = temporary
        self.library = library
        self.manager = manager
        self.permit = LicenceGate(library)
        self.closing = False
        self._disconnects: set[Callable[[], None]] = set()

    def readiness(self) -> str | None:
        """Why answers cannot be stored now; None when all is well."""
        failure = self.runs.writer.failure
        if failure is None:
            return None
        return failure.told if isinstance(failure, MynaError) else FAILED

    async def home(
        self, owner: str, *, chat: str | None = None, message: str | None = None, run: str | None = None
    ) -> ApiServices | TemporaryChat:
        """Where a chat is, or that of a message or a run: its own memory if it is a temporary one, else the store."""
        found = self.temporary.get(owner, chat) if chat else await self.temporary.find(owner, message=message, run=run)
        return found or self

    def interrupt(self, owner: str) -> None:
        """The owner may not use the server now: end his runs with what they have, and his temporary chats."""
        self.runs.answers.interrupt(owner)
        self.temporary.forget(owner)

    def forget(self, owner: str) -> None:
        """The owner is gone (see `myna.runs.answers.Answers.forget`)."""
        self.runs.answers.forget(owner)
        self.temporary.forget(owner)

    def on_disconnect(self, close: Callable[[], None]) -> Callable[[], None]:
        """Call ``close`` when the server ends its tabs; gives back what undoes this."""
        self._disconnects.add(close)
        return lambda: self._disconnects.discard(close)

    def disconnect(self) -> None:
        """Close every WebSocket, now and from now on: the server ends."""
        self.closing = True
        for close in list(self._disconnects):
            close()


@asynccontextmanager
async def open_services(
    database: Database,
    manager: ModelManager,
    hub: Hub,
    meter: Meter | None = None,
    titles: Callable[[], bool] = lambda: False,
    admit: Admit = admit_all,
) -> AsyncIterator[ApiServices]:
    """Take up the runs that a crash has left; at the end mark open ones as interrupted.

    What runs use is told to ``meter``; a model writes titles while ``titles`` says so, and messages that wait are sent
    on while ``admit`` lets their owner.
    """
    speeds = Speeds(database)
    await speeds.load()
    library = Library(hub, manager, speeds)
    spend, count = (spend_freely, measure_nothing) if meter is None else (meter.spend_in_chat, meter.time_in_chat)

    def measure(owner: str, model: str, tokens: int, seconds: float) -> None:
        speeds.measure(model, tokens, seconds)
        count(owner, model, tokens, seconds)

    permit = LicenceGate(library)
    runs = RunService(database, manager, spend, measure, permit, titles, admit)
    temporary = TemporaryChats(database, manager, spend, measure, permit, admit)
    await runs.start()
    services = ApiServices(database, runs, temporary, library, manager)
    try:
        yield services
    finally:
        services.disconnect()
        await library.close()
        await temporary.close()
        await runs.close()
        await speeds.close()


# Coroutines, though they await nothing: FastAPI would send plain functions through a pool of threads.
async def _services(connection: HTTPConnection) -> ApiServices:
    services: ApiServices = connection.app.state.api
    return services


async def _owner(connection: HTTPConnection) -> str:
    return owner_of(connection)


async def _accounts(connection: HTTPConnection) -> Accounts:
    accounts: Accounts = connection.app.state.accounts
    return accounts


async def _admitted(connection: HTTPConnection) -> str:
    await admit(connection)
    return owner_of(connection)


async def _searching(connection: HTTPConnection) -> str:
    return _working(connection, "searches")


async def _copying(connection: HTTPConnection) -> str:
    return _working(connection, "copies")


def _working(connection: HTTPConnection, work: Work) -> str:
    meter: Meter = connection.app.state.meter
    owner = owner_of(connection)
    meter.admit_work(owner, work)
    return owner


Services = Annotated[ApiServices, Depends(_services)]
Owner = Annotated[str, Depends(_owner)]
"""Whose rows a request may touch."""
Admitted = Annotated[str, Depends(_admitted)]
"""The same, of a request that uses a model and may do so now."""
Searching = Annotated[str, Depends(_searching)]
Copying = Annotated[str, Depends(_copying)]
"""The same, of requests that cost the database much: each may come so often in a minute (`myna.server.meter.WORK`)."""
Known = Annotated[Accounts, Depends(_accounts)]
"""Who is known to the server."""
