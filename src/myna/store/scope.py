"""A transaction as one owner may use it: the one place where rows are narrowed to their owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Delete, Row, Select, Table, Update, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import Executable


class Transaction:
    """A running transaction.

    ``changed`` collects the owners whose lists it changes; ``after_commit`` what to do when it is committed, before
    the next writer begins; ``told`` what other processes that share the database are told then. ``server`` is this
    one's number among them.
    """

    def __init__(self, connection: AsyncConnection, server: int | None = None) -> None:
        self.connection = connection
        self.server = server
        self.changed: set[str] = set()
        self.after_commit: list[Callable[[], None]] = []
        self.told: set[tuple[str, ...]] = set()

    def tell(self, kind: str, *words: str) -> None:
        """Tell the other processes, if there are any; the words have no spaces."""
        self.told.add((kind, *words))

    async def add_missing(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, in one statement, but those whose key is there already."""
        if rows:
            kind = sqlite if self.connection.dialect.name == "sqlite" else postgresql
            await self.connection.execute(kind.insert(table).on_conflict_do_nothing(), rows)

    def owned_by(self, owner: str) -> Scope:
        """The rows of one owner."""
        return Scope(self, owner)


class Scope:
    """One owner's rows in one transaction. Every statement of the repositories starts from one of these methods."""

    def __init__(self, transaction: Transaction, owner: str) -> None:
        self.transaction = transaction
        self.owner = owner

    def select(self, table: Table, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns (all, if none is named) of the owner's rows."""
        return select(*(columns or table.c)).where(table.c.owner == self.owner)

    def update(self, table: Table) -> Update:
        return update(table).where(table.c.owner == self.owner)

    def delete(self, table: Table) -> Delete:
        return delete(table).where(table.c.owner == self.owner)

    async def add(self, table: Table, *rows: dict[str, Any]) -> None:
        """Insert rows in the owner's name, in one statement."""
        if rows:
            await self.transaction.connection.execute(insert(table), [{**row, "owner": self.owner} for row in rows])

    async def all(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run a statement; its rows."""
        return (await self.transaction.connection.execute(statement)).all()

    async def first(self, statement: Executable) -> Row[Any] | None:
        """Run a statement; its first row, if it has one."""
        return (await self.transaction.connection.execute(statement)).first()

    async def run(self, statement: Executable) -> int:
        """Run a statement that changes rows; how many it changed."""
        return (await self.transaction.connection.execute(statement)).rowcount

    def note_change(self) -> None:
        """Remember that the owner's lists change with this transaction."""
        self.transaction.changed.add(self.owner)
