"""All rows from one database to another of the same schema, and the proof that they arrived.

What is searched is not copied: it is derived from the rest, and each kind of database has it in its own words.
Both sides are read a few hundred rows at a time, so that the size of the database does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from sqlalchemy import Column, Connection, Row, String, Table, insert, select

from myna.errors import StoreError
from myna.store import postgres, search
from myna.store.tables import metadata
from myna.store.tables.search import search_documents, search_owners

TABLES = [table for table in metadata.sorted_tables if table not in (search_owners, search_documents)]
ROWS = 500
"""Read and written at once."""

Tell = Callable[[str], object]
"""Told of each step, in a clause for people."""


def copy_rows(source: Connection, target: Connection, tell: Tell) -> int:
    """Copy every table, within the target's transaction; how many rows that were.

    U+0000 becomes U+FFFD on PostgreSQL, as it does when it is written there.

    Raises:
        StoreError: the target holds rows already.
    """
    _check_empty(target)
    copied = 0
    with _without_references(target):
        for table in TABLES:
            for rows in _batches(source, table):
                target.execute(insert(table), [dict(zip(table.c.keys(), row, strict=True)) for row in rows])
                copied += len(rows)
            tell(f"copied {table.name}")
    _continue_numbers(target)
    search.rebuild(target)
    return copied


def compare(source: Connection, target: Connection, tell: Tell) -> None:
    """Read both sides again, row by row.

    Raises:
        StoreError: a row is missing, is too much or differs; it is named.
    """
    for table in TABLES:
        for here, there in zip_longest(_rows(source, table), _rows(target, table)):
            if here != there:
                keys = [tuple(row)[: len(table.primary_key)] for row in (here, there) if row is not None]
                raise StoreError(f"The copy is not what was copied: table {table.name}, row {min(keys)}.")
        tell(f"compared {table.name}")


def _check_empty(target: Connection) -> None:
    for table in TABLES:
        if target.execute(select(*table.primary_key).limit(1)).first() is not None:
            raise StoreError(f"The target is not empty: its table {table.name} has rows. Give one without any.")


def _rows(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """All rows in the order of their keys, the keys first, spelt as the other side would spell them."""
    for rows in _batches(connection, table, *table.primary_key):
        yield from rows


def _batches(connection: Connection, table: Table, *first: Column[Any]) -> Iterator[list[tuple[Any, ...]]]:
    order = [_in_bytes(connection, column) for column in table.primary_key]
    found = connection.execution_options(yield_per=ROWS).execute(select(*first, *table.c).order_by(*order))
    try:
        for rows in found.partitions():
            yield [_spelt(row) for row in rows]
    finally:
        found.close()


def _in_bytes(connection: Connection, column: Column[Any]) -> Any:
    """A column as SQLite orders it: by the bytes of UTF-8."""
    if connection.dialect.name == "sqlite" or not isinstance(column.type, String):
        return column
    return column.collate("C")


def _spelt(row: Row[Any]) -> tuple[Any, ...]:
    return tuple(postgres.spelt(value) for value in row)


@contextmanager
def _without_references(target: Connection) -> Iterator[None]:
    """Foreign keys put aside, since rows may refer to later ones; put back, and thereby verified, at the end.

    SQLite has them off for such work (`myna.store.sqlite.configure`).
    """
    if target.dialect.name == "sqlite":
        yield
        return
    constraints = target.exec_driver_sql(
        "SELECT conrelid::regclass, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'f' AND connamespace = current_schema()::regnamespace"
    ).all()
    for table, name, _ in constraints:
        target.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    for table, name, definition in constraints:
        target.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def _continue_numbers(target: Connection) -> None:
    """Let PostgreSQL number new rows after those that were copied; SQLite does so by itself."""
    if target.dialect.name == "sqlite":
        return
    for table in TABLES:
        column = table.autoincrement_column
        if column is not None and column.autoincrement is True:
            target.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), max({column.name})) "  # noqa: S608 - our own names
                f"FROM {table.name} HAVING max({column.name}) IS NOT NULL"
            )
