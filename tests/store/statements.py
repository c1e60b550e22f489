"""Counting what reaches the database."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import event

from myna.store.database import Database


@dataclass
class Count:
    """Statements sent so far, BEGIN aside, and the most values that one of them had, rows of an insertion aside."""

    statements: int = 0
    values: int = 0


@contextmanager
def counted(database: Database) -> Iterator[Count]:
    """Count the statements of the block."""
    count = Count()

    def more(_connection: object, _cursor: object, statement: str, values: Sized, _context: object, many: bool) -> None:
        count.statements += not statement.startswith("BEGIN")
        count.values = max(count.values, 0 if many else len(values))

    engines = (database.reader.sync_engine, database.writer.sync_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", more)
    try:
        yield count
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", more)
