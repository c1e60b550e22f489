"""The database: one writer at a time, any number of readers, every transaction in an owner's name.

There is one writing connection, and writers of this process queue for it: SQLite has one write lock, and waiting for it
in Python is fair and cannot time out. Where the rows are, and who else may write there, is the place's business.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncTransaction

from myna.errors import StorageFull, StoreError, StoreUnavailable
from myna.store import directory, peers, sqlite, swap
from myna.store.directory import Lock
from myna.store.peers import Check, Listener
from myna.store.place import AWAY, FULL, TURN_SECONDS, Place
from myna.store.scope import Scope, Transaction
from myna.store.upgrade import upgrade

LEAST_FREE = 1 << 30
"""Bytes on the disk below which nothing is copied, so that what is said can still be stored."""


class Database:
    """The store of one server. Create it with `Database.open`."""

    def __init__(self, place: Place, lock: Lock) -> None:
        self.place = place
        self.peers = place.peers
        self._lock = lock
        self.writer = place.writer
        self.reader = place.reader
        self._writing = asyncio.Lock()
        self._listeners: list[Callable[[frozenset[str]], None]] = []

    @classmethod
    async def open(cls, data_dir: Path, url: str | None = None) -> Database:
        """Open, create or upgrade a database: that of ``url``, or that of the data directory.

        Raises:
            ConfigurationError: the directory cannot be used, another process uses it, or the URL is malformed.
            StoreError: the database is damaged, newer than this program, or could not be reached or upgraded.
        """
        lock = directory.take(data_dir) if url is None else directory.share(data_dir)
        try:
            await asyncio.to_thread(swap.finish, data_dir)
            if url is None:
                path = data_dir / "myna.db"
                await asyncio.to_thread(upgrade, path)
                path.chmod(0o600)
                return cls(sqlite.SQLite(path), lock)
            from myna.store import postgres  # with a driver that may not be installed

            database = cls(await asyncio.to_thread(postgres.open_place, url), lock)
            await database._join()
            return database
        except BaseException:
            lock.release()
            raise

    async def close(self) -> None:
        """Close every connection and give the place free."""
        if self.peers is not None:
            await self.peers.leave()
        await self.reader.dispose()
        await self.writer.dispose()
        self._lock.release()

    @property
    def server(self) -> int | None:
        """Number of this process among those that share the database; None where it has it alone."""
        return None if self.peers is None else self.peers.number

    @property
    def leads(self) -> bool:
        """Whether this process does what one alone must do."""
        return self.peers is None or self.peers.leads

    def hear(self, kind: str, listener: Listener) -> None:
        """Call ``listener`` with what another process has changed (see `myna.store.peers`)."""
        if self.peers is not None:
            self.peers.hear(kind, listener)

    def on_check(self, check: Check) -> None:
        """Await ``check`` now and then while this process leads others, for what one of them may have left."""
        if self.peers is not None:
            self.peers.on_check(check)

    async def living(self, transaction: Transaction) -> set[int] | None:
        """Numbers of the processes that share the database and live, or did until lately; None where none can."""
        if self.peers is None:
            return None
        return self.peers.lately(await transaction.connection.run_sync(peers.living))

    async def _join(self) -> None:
        assert self.peers is not None
        self.peers.hear("lists", lambda words: self._changed(frozenset(words)))
        await self.peers.join()

    def on_change(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call ``listener`` after each commit that changed lists, with the owners whose lists they are."""
        self._listeners.append(listener)

    async def settled(self) -> None:
        """Wait until memory has followed the transaction that runs now, if one does.

        Raises:
            StoreUnavailable: it does not end.
        """
        async with self._turn():
            pass

    async def size(self) -> int:
        """Bytes that the rows take, with what is not yet merged into the file.

        Raises:
            StoreError: the database failed.
        """
        if (file := self.place.file) is not None:
            parts = (file, file.with_name(f"{file.name}-wal"))
            return sum(part.stat().st_size for part in parts if part.exists())
        async with self.read("") as scope:
            row = await scope.first(text("SELECT pg_database_size(current_database()) AS bytes"))
            assert row is not None
            return int(row.bytes)

    async def check_room(self, more: int) -> None:
        """Whether the disk has room for so many bytes more, and enough besides for what others write.

        Of a database server's disk nothing is known here.

        Raises:
            StorageFull: it has not.
        """
        if (file := self.place.file) is not None:
            free = (await asyncio.to_thread(shutil.disk_usage, file.parent)).free
            if free < LEAST_FREE + more:
                raise StorageFull(f"The disk that holds {file} is nearly full. Free some space first.", told=FULL)

    @asynccontextmanager
    async def read(self, owner: str) -> AsyncIterator[Scope]:
        """One consistent view of an owner's rows.

        Raises:
            StoreError: the database failed.
        """
        try:
            async with self.reader.connect() as connection:
                yield Transaction(connection).owned_by(owner)
        except (DBAPIError, PoolTimeout) as error:
            raise self._explain(error) from error

    @asynccontextmanager
    async def write(self, owner: str) -> AsyncIterator[Scope]:
        """One transaction on an owner's rows: committed at the end of the block, undone by an exception.

        Raises:
            StoreError: the database failed; nothing of the block was stored.
        """
        async with self.transaction() as transaction:
            yield transaction.owned_by(owner)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """As `write`, for work in the name of several owners."""
        try:
            async with self._turn(), self.writer.connect() as connection, connection.begin() as begun:
                transaction = Transaction(connection, self.server)
                yield transaction
                if self.peers is not None:
                    await self.peers.tell(connection, transaction.told)
                await _undisturbed(self._commit(begun, transaction))
        except (DBAPIError, PoolTimeout) as error:
            raise self._explain(error) from error

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The writer's turn. Raises StoreUnavailable where it does not come, because the one before hangs."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._writing.acquire()
        except TimeoutError:
            raise self._explain(PoolTimeout("another transaction does not end")) from None
        try:
            yield
        finally:
            self._writing.release()

    def _explain(self, error: DBAPIError | PoolTimeout) -> StoreError:
        if isinstance(error, PoolTimeout):
            waited = f"waited for {TURN_SECONDS:.0f} seconds"
            return StoreUnavailable(f"The database {self.place.name} is too busy: {waited} ({error}).", told=AWAY)
        return self.place.explain(error.orig or error)

    async def _commit(self, begun: AsyncTransaction, transaction: Transaction) -> None:
        await begun.commit()
        # Still in the writer's turn: memory follows the database in the order of the commits.
        for action in transaction.after_commit:
            action()
        if transaction.changed:
            self._changed(frozenset(transaction.changed))

    def _changed(self, owners: frozenset[str]) -> None:
        for listener in self._listeners:
            listener(owners)


@asynccontextmanager
async def opened(data_dir: Path, url: str | None = None) -> AsyncIterator[Database]:
    """The database of a data directory or a URL, for as long as the block runs. Raises what `Database.open` does."""
    database = await Database.open(data_dir, url)
    try:
        yield database
    finally:
        await database.close()


async def _undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Do the work to its end even if the task that waits for it is cancelled; then let that be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
