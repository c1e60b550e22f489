"""Counting what reaches the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import event

from myna.store.database import Database


@dataclass
class Count:
    """Statements sent so far, BEGIN aside."""

    statements: int = 0


@contextmanager
def counted(database: Database) -> Iterator[Count]:
    """Count the statements of the block."""
    count = Count()

    def more(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        count.statements += not statement.startswith("BEGIN")

    engines = (database.reader.sync_engine, database.writer.sync_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", more)
    try:
        yield count
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", more)
