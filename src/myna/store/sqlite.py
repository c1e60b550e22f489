"""Everything that is SQLite's alone: connections, copies, and what its errors mean.

Journal: WAL, so that readers never wait for the writer. ``synchronous=FULL``: a commit is on the disk when it
returns, so that what a client saw survives the loss of power too; group commit (`myna.runs.log`) makes that cheap.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from myna.errors import StorageFull, StoreError, StoreUnavailable
from myna.store.place import AWAY, FAILED, FULL, TURN_SECONDS

BUSY_SECONDS = 15
"""How long a statement waits for another process (a shell, a backup tool) that holds the database."""


READERS = 4


class Tidy(sqlite3.Connection):
    """A connection that lets go of its locks when it is closed.

    SQLite keeps a closed connection, and the lock of its transaction, until the last of its statements is finished. A
    task that is cancelled while one runs leaves its cursor to the garbage collector, which comes when it likes: until
    then the whole database would be locked.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, factory: Callable[[sqlite3.Connection], Any] | None = None) -> Any:
        cursor = super().cursor(factory or sqlite3.Cursor)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Finish every statement, then close; a second time does nothing, as ever."""
        left, self._cursors = list(self._cursors), weakref.WeakSet()
        for cursor in left:
            cursor.close()
        super().close()


class SQLite:
    """The database of a data directory (see `myna.store.place.Place`)."""

    def __init__(self, path: Path) -> None:
        self.peers = None
        self._path = path
        address = url(path, driver="aiosqlite")
        pool: dict[str, Any] = {"max_overflow": 0, "pool_timeout": TURN_SECONDS, "hide_parameters": True}
        pool["connect_args"] = {"factory": Tidy}
        self.writer = create_async_engine(address, pool_size=1, **pool)
        self.reader = create_async_engine(address, pool_size=READERS, **pool)
        configure(self.writer.sync_engine, writes=True)
        configure(self.reader.sync_engine, writes=False)

    @property
    def file(self) -> Path:
        """The database's file."""
        return self._path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def explain(self, error: BaseException) -> StoreError:
        """What went wrong with the file, for a person, with the remedy."""
        return explain(error, self._path)


def url(path: Path, *, driver: str) -> URL:
    """SQLAlchemy URL of a database file; the path needs no escaping."""
    return URL.create(f"sqlite+{driver}", database=str(path))


def configure(engine: Engine, *, writes: bool, foreign_keys: bool = True) -> None:
    """Set up every connection of an engine; each transaction then begins with an explicit BEGIN.

    A writing transaction takes the write lock at once: upgrading from a read to a write in the middle is what makes
    "database is locked" come in spite of the busy timeout.
    """

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # Python's own, implicit BEGIN would leave DDL and reads outside
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "journal_mode=WAL" if writes else "query_only=ON",
            "synchronous=FULL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def revision(path: Path) -> str | None:
    """The schema's revision; None for a file that is absent or empty.

    Raises:
        StoreError: not a database, or not one of Myna's.
    """
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return None
            if "alembic_version" not in tables:
                raise StoreError(
                    f"{path} is a database of another program. "
                    "Move it away or choose another directory with --data-dir."
                )
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None
    except sqlite3.Error as error:
        raise explain(error, path) from error


def copy(source: Path, target: Path) -> None:
    """Copy a database in one transaction of the target; what the target held is replaced, or kept if this fails."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with (
        closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as origin,
        closing(sqlite3.connect(target, timeout=BUSY_SECONDS)) as copied,
    ):
        origin.backup(copied)


@contextmanager
def alone(path: Path) -> Iterator[Connection]:
    """A transaction on a database that nobody else uses, without its references enforced: they are verified at the end.

    Raises:
        StoreError: it could not be read or written, or would be left damaged; it is as before then.
    """
    engine = create_engine(url(path, driver="pysqlite"))
    configure(engine, writes=True, foreign_keys=False)
    try:
        with engine.begin() as connection:
            yield connection
            if (damage := verify(connection)) is not None:
                raise StoreError(damage)
    except SQLAlchemyError as error:
        raise explain(getattr(error, "orig", None) or error, path) from error
    finally:
        engine.dispose()


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """One consistent view of a database. Raises StoreError where it cannot be read."""
    engine = create_engine(url(path, driver="pysqlite"))
    configure(engine, writes=False)
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise explain(getattr(error, "orig", None) or error, path) from error
    finally:
        engine.dispose()


def verify(connection: Connection) -> str | None:
    """What is wrong with the database, as a clause; None if nothing is."""
    damage = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    if damage != ["ok"]:
        return f"the integrity check found: {'; '.join(str(line) for line in damage[:3])}"
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if dangling:
        return f"{len(dangling)} rows refer to others that do not exist, the first in table {dangling[0][0]}"
    return None


def explain(error: BaseException, path: Path) -> StoreError:
    """What went wrong with a database, for a person, with the remedy."""
    text = str(error).lower()
    if "full" in text:
        message = f"The disk that holds {path} is full. Free some space; what is stored already is safe."
        return StorageFull(message, told=FULL)
    if "readonly" in text or "unable to open" in text or "permission" in text:
        message = f"The database {path} cannot be written ({error}). Make it and its directory writable."
        return StoreUnavailable(message, told=AWAY)
    if "locked" in text or "busy" in text:
        message = f"Another program kept the database {path} locked for {BUSY_SECONDS} seconds. Close it and try again."
        return StoreUnavailable(message, told=AWAY)
    if "malformed" in text or "not a database" in text:
        message = (
            f"The database {path} is damaged ({error}). "
            f"Move it away to start anew, or put back a copy from {path.parent / 'backups'}."
        )
    else:
        message = f"The database {path} failed: {error}."
    return StoreError(message, told=FAILED)
