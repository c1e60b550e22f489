"""A database in this process's memory, for what shall leave no trace: gone when it is closed, or with the process.

SQLite's ``memdb`` keeps it as long as a connection to it is open. One is held open for that alone; each transaction has
a connection of its own, so that none is left behind, whenever the database is forgotten. Nothing overflows into files:
temporary tables are in memory too.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from myna.errors import StorageFull, StoreError
from myna.store import migrations, sqlite
from myna.store.database import Database
from myna.store.scope import Scope

OVER = "This temporary chat is over."
FULL = "This temporary chat has grown as large as one may be. Begin another one."


class Memory:
    """The place of such a database (see `myna.store.place.Place`).

    Args:
        schema: an empty database, from `schema`.
        most_bytes: a transaction with which it would grow beyond this fails.
    """

    def __init__(self, schema: bytes, most_bytes: int) -> None:
        self.peers = None
        self.file: Path | None = None
        self.name = "memory"
        address = f"file:/myna-{uuid.uuid4()}"
        self._anchor = sqlite3.connect(f"{address}?vfs=memdb", uri=True, check_same_thread=False)
        with closing(sqlite3.connect(":memory:")) as empty:
            empty.deserialize(schema)
            empty.backup(self._anchor)
        url = URL.create("sqlite+aiosqlite", database=address, query={"vfs": "memdb", "uri": "true"})
        tidy: dict[str, Any] = {"connect_args": {"factory": sqlite.Tidy}, "hide_parameters": True}
        self.writer, self.reader = (create_async_engine(url, poolclass=NullPool, **tidy) for _ in range(2))
        ((page_bytes,),) = self._anchor.execute("PRAGMA page_size")
        for engine, writes in ((self.writer, True), (self.reader, False)):
            _keep_in_memory(engine.sync_engine, most_bytes // page_bytes)
            sqlite.configure(engine.sync_engine, writes=writes)

    def release(self) -> None:
        """Forget everything: the database goes with its last connection."""
        self._anchor.close()

    def explain(self, error: BaseException) -> StoreError:
        """What went wrong, for a person."""
        said = str(error).lower()
        if "full" in said:
            return StorageFull(FULL, told=FULL)
        told = OVER if "no such table" in said else "This temporary chat failed."
        return StoreError(f"{told} {error}", told=told)


def _keep_in_memory(engine: Engine, most_pages: int) -> None:
    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute(f"PRAGMA max_page_count={most_pages}")
        cursor.close()


async def size(scope: Scope) -> int:
    """Bytes that the database of a scope takes."""
    return int((await scope.all(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")))[0][0])


_schema: bytes | None = None
_making = threading.Lock()


def schema() -> bytes:
    """An empty database of the newest schema, as SQLite would write it into a file. The first takes a moment."""
    global _schema
    with _making:
        if _schema is None:
            engine = create_engine("sqlite+pysqlite://")
            sqlite.configure(engine, writes=True)
            try:
                with engine.begin() as connection:
                    migrations.run(connection, migrations.SCRIPTS, migrations.HEAD)
                raw = engine.raw_connection()
                _schema = raw.driver_connection.serialize()  # type: ignore[union-attr]
            finally:
                engine.dispose()
        return _schema


async def open_database(most_bytes: int) -> Database:
    """A new, empty database in memory; closing it forgets it."""
    place = Memory(await asyncio.to_thread(schema), most_bytes)
    return Database(place, place)
