"""The database: one writer at a time, any number of readers, every transaction in an owner's name.

There is one writing connection, and writers of this process queue for it: SQLite has one write lock, and waiting for it
in Python is fair and cannot time out. The data directory belongs to one process, which a file lock says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncTransaction, create_async_engine

from myna.errors import ConfigurationError
from myna.store import sqlite
from myna.store.scope import Scope, Transaction
from myna.store.upgrade import upgrade

READERS = 4


class Database:
    """The store of one data directory. Create it with `Database.open`."""

    def __init__(self, path: Path, lock: FileLock, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self.path = path
        self.writer = writer
        self.reader = reader
        self._lock = lock
        self._writing = asyncio.Lock()
        self._listeners: list[Callable[[frozenset[str]], None]] = []

    @classmethod
    async def open(cls, data_dir: Path) -> Database:
        """Open, create or upgrade the database of a data directory.

        Raises:
            ConfigurationError: the directory cannot be used, or another process uses it.
            StoreError: the database is damaged, newer than this program, or could not be upgraded.
        """
        sqlite.prepare_directory(data_dir)
        lock = FileLock(data_dir / sqlite.LOCK, blocking=False, thread_local=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise ConfigurationError(
                f"Another Myna already uses the data directory {data_dir}. "
                "Use its window, end it, or choose another directory with --data-dir.",
                param="data_dir",
            ) from error
        except OSError as error:
            raise sqlite.unusable_directory(data_dir, error) from error
        try:
            path = data_dir / "myna.db"
            await asyncio.to_thread(upgrade, path)
            path.chmod(0o600)
            url = sqlite.url(path, driver="aiosqlite")
            writer = create_async_engine(url, pool_size=1, max_overflow=0)
            reader = create_async_engine(url, pool_size=READERS, max_overflow=0)
            sqlite.configure(writer.sync_engine, writes=True)
            sqlite.configure(reader.sync_engine, writes=False)
        except BaseException:
            lock.release()
            raise
        return cls(path, lock, writer, reader)

    async def close(self) -> None:
        """Close every connection and give the data directory free."""
        await self.reader.dispose()
        await self.writer.dispose()
        self._lock.release()

    def on_change(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call ``listener`` after each commit that changed lists, with the owners whose lists they are."""
        self._listeners.append(listener)

    async def settled(self) -> None:
        """Wait until memory has followed the transaction that runs now, if one does."""
        async with self._writing:
            pass

    @asynccontextmanager
    async def read(self, owner: str) -> AsyncIterator[Scope]:
        """One consistent view of an owner's rows.

        Raises:
            StoreError: the database failed.
        """
        try:
            async with self.reader.connect() as connection:
                yield Transaction(connection).owned_by(owner)
        except DBAPIError as error:
            raise sqlite.explain(error.orig or error, self.path) from error

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
            async with self._writing, self.writer.connect() as connection, connection.begin() as begun:
                transaction = Transaction(connection)
                yield transaction
                await _undisturbed(self._commit(begun, transaction))
        except DBAPIError as error:
            raise sqlite.explain(error.orig or error, self.path) from error

    async def _commit(self, begun: AsyncTransaction, transaction: Transaction) -> None:
        await begun.commit()
        # Still in the writer's turn: memory follows the database in the order of the commits.
        for action in transaction.after_commit:
            action()
        if transaction.changed:
            for listener in self._listeners:
                listener(frozenset(transaction.changed))


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[Database]:
    """The database of a data directory, for as long as the block runs. Raises what `Database.open` does."""
    database = await Database.open(data_dir)
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
