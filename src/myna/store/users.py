"""Users: one row each, and everything of theirs when one goes.

They belong to nobody, so these queries take a transaction; the rows that a user owns are asked for in his name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, delete, insert, select, update

from myna.errors import NotFound
from myna.store.scope import Transaction
from myna.store.tables import metadata
from myna.store.tables.accounts import users

Role = Literal["owner", "admin", "member"]


@dataclass(frozen=True, slots=True)
class User:
    """An account. ``password`` is its argon2id hash; limits are null for the settings' default, 0 for none."""

    id: str
    name: str
    name_key: str
    password: str
    role: Role
    disabled: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    created_at: int
    last_seen_at: int | None


def _user(row: Row[Any]) -> User:
    return User(**row._mapping)


async def all_of_them(transaction: Transaction) -> list[User]:
    """Every user, oldest first."""
    rows = await transaction.connection.execute(select(users).order_by(users.c.created_at, users.c.id))
    return [_user(row) for row in rows]


async def add(transaction: Transaction, user: User) -> None:
    """Insert a user."""
    await transaction.connection.execute(insert(users), {column.name: getattr(user, column.name) for column in users.c})


async def change(transaction: Transaction, user_id: str, **values: Any) -> User:
    """Change columns of a user.

    Raises:
        NotFound: there is none of this id.
    """
    statement = update(users).where(users.c.id == user_id).values(**values).returning(*users.c)
    row = (await transaction.connection.execute(statement)).first()
    if row is None:
        raise NotFound(f"There is no user {user_id}; it may have been deleted.", param="user")
    return _user(row)


async def seen(transaction: Transaction, times: dict[str, int]) -> None:
    """Note when users were last there."""
    for user_id, at in times.items():
        await transaction.connection.execute(update(users).where(users.c.id == user_id).values(last_seen_at=at))


async def remove(transaction: Transaction, user_id: str) -> None:
    """Delete a user and all his rows in every table, those that refer to others first.

    Raises:
        NotFound: there is none of this id.
    """
    for table in reversed(metadata.sorted_tables):
        if "owner" in table.c:
            await transaction.connection.execute(delete(table).where(table.c.owner == user_id))
    if not (await transaction.connection.execute(delete(users).where(users.c.id == user_id))).rowcount:
        raise NotFound(f"There is no user {user_id}; it may have been deleted.", param="user")
