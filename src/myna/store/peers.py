"""The server processes that share a PostgreSQL database: which there are, which leads, what they tell each other.

Each holds advisory locks on a connection of its own, so that the database itself knows which processes live: one by its
number, one that all share (who wants the database alone cannot have that), and the leader's. The leader does what one
alone must do: it takes up batches, sends webhooks, and marks what a process that died has left open.

On the same connection they listen. What changes is told by the database's triggers (revision 0014), whoever writes it,
as words: the number of the process that wrote it, the kind, and whose or what it is. Nothing is polled but, every
`CHECK_SECONDS`, who lives and whether the leader is gone. A process whose connection broke is not among the living for
a moment, though it goes on: so only who has been away for `GONE_SECONDS` is taken for dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection as AsyncSQLConnection

from myna.errors import ConfigurationError, MynaError, StoreError

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CHANNEL = "myna"
ALONE_LOCK, LEADER_LOCK = 0x6D796E61, 0x6D796E63
"""Keys of advisory locks: held by all servers together or by one program that wants no server, and by the leader."""
NUMBERS = 0x6D796E64
"""First half of the key of a process's own lock; its number is the other."""
CHECK_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 2.0
GONE_SECONDS = 8.0
"""More than `LONGEST_RETRY_SECONDS` and a slow connection: who is away for so long does not come back."""
LOST_AFTER: dict[str, Any] = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}
"""For all connections: one to a machine that is gone without a word is given up after some 20 s, not after 15 min."""
MISSED = "missed"
"""Told by this process to itself, when the connection was lost for a while: anything may have changed."""
WORK = "work"
"""Told to the leader: there is something that it should take up."""

_LIVING = (
    "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = %(numbers)s AND objsubid = 2 "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")

Listener = Callable[[list[str]], object]
Check = Callable[[], Awaitable[object]]

logger = logging.getLogger(__name__)


class Peers:
    """This process among those that share a database."""

    def __init__(self, url: URL, explain: Callable[[BaseException], StoreError]) -> None:
        self.number = 1 + secrets.randbelow(2**31 - 1)
        self.leads = False
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._explain = explain
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._checks: list[Check] = []
        self._due = asyncio.Event()
        self._seen: dict[int, float] = {}
        self._connection: AsyncConnection[Any]
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self) -> None:
        """Be one of them.

        Raises:
            ConfigurationError: a program uses the database alone, such as a restore.
            StoreError: it cannot be reached.
        """
        from psycopg import OperationalError

        try:
            await self._connect()
        except OperationalError as error:
            raise self._explain(error) from error
        self._tasks = [
            asyncio.create_task(self._listen(), name="peers"),
            asyncio.create_task(self._check(), name="peers' leader"),
        ]

    async def leave(self) -> None:
        """Be none of them any more: another one leads, and what is left open here is marked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    def hear(self, kind: str, listener: Listener) -> None:
        """Call ``listener`` with the words after the kind, whenever another process has told of it."""
        self._listeners[kind].append(listener)

    def on_check(self, check: Check) -> None:
        """Await ``check`` now and then while this process leads, first when it begins to, and when there is work."""
        self._checks.append(check)

    async def tell(self, connection: AsyncSQLConnection, told: Iterable[tuple[str, ...]]) -> None:
        """Tell the others, at the commit of a connection's transaction; what is for the leader is heard here too."""
        for words in sorted(told):
            payload = " ".join((str(self.number), *words))
            await connection.execute(_NOTIFY, {"channel": CHANNEL, "payload": payload})

    def lately(self, living: Iterable[int]) -> set[int]:
        """Processes that live, with those that did until lately and this one, whatever became of its connection."""
        at = time.monotonic()
        self._seen |= dict.fromkeys(living, at)
        self._seen = {number: seen for number, seen in self._seen.items() if at - seen < GONE_SECONDS}
        return {*self._seen, self.number}

    async def _connect(self) -> None:
        from psycopg import AsyncConnection, OperationalError

        connection = await AsyncConnection.connect(self._conninfo, autocommit=True, connect_timeout=10, **LOST_AFTER)
        try:
            if not await _locked(connection, f"pg_try_advisory_lock_shared({ALONE_LOCK})"):
                raise ConfigurationError(
                    "Another program has the database alone, to restore, move or upgrade it. Try again later.",
                    param="database_url",
                )
            if not await _locked(connection, f"pg_try_advisory_lock({NUMBERS}, {self.number})"):
                raise OperationalError("the database has not yet noticed that the connection before was lost")
            self.leads = await _locked(connection, f"pg_try_advisory_lock({LEADER_LOCK})")
            await connection.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    async def _listen(self) -> None:
        from psycopg import Error

        while True:
            try:
                async for notice in self._connection.notifies(timeout=CHECK_SECONDS):
                    self._heard(notice.payload)
                rows = await (await self._connection.execute(_LIVING, {"numbers": NUMBERS})).fetchall()
                self.lately(number for (number,) in rows)
                if not self.leads and await _locked(self._connection, f"pg_try_advisory_lock({LEADER_LOCK})"):
                    logger.info("This server leads now")
                    self.leads = True
                self._due.set()
            except Error as error:
                logger.warning("The connection to the other servers was lost (%s); trying again", error)
                await self._reconnect()
                # The others may have lost theirs with this one, and be on their way back.
                self.lately(self._seen)
                self._tell(MISSED, [])
                self._due.set()

    async def _reconnect(self) -> None:
        from psycopg import Error

        self.leads = False
        pause = 0.1
        while True:
            with contextlib.suppress(Error):
                await self._connection.close()
            try:
                await self._connect()
                return
            except (Error, ConfigurationError):
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    async def _check(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            for check in self._checks if self.leads else ():
                # Shielded: a transaction that is cut in two would leave its connection behind.
                checking = asyncio.ensure_future(check())
                try:
                    await asyncio.shield(checking)
                except asyncio.CancelledError:
                    await asyncio.gather(checking, return_exceptions=True)
                    raise
                except MynaError as error:
                    logger.warning("Work that this server leads has to wait: %s", error.message)

    def _heard(self, payload: str) -> None:
        sender, kind, *words = payload.split(" ")
        if kind == WORK:
            self._due.set()
        elif sender != str(self.number):
            self._tell(kind, words)

    def _tell(self, kind: str, words: list[str]) -> None:
        for listener in self._listeners[kind]:
            listener(words)


def living(connection: Connection) -> set[int]:
    """Numbers of the processes that live, as the database knows them."""
    rows = connection.exec_driver_sql(_LIVING, {"numbers": NUMBERS})
    return {int(number) for (number,) in rows}


async def _locked(connection: AsyncConnection[Any], lock: str) -> bool:
    row = await (await connection.execute(f"SELECT {lock}".encode())).fetchone()
    return row is not None and bool(row[0])
