"""Users' API keys. A key is found by the hash of its secret, which is shown once and kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, select, update

from myna.errors import NotFound
from myna.store.scope import Scope, Transaction
from myna.store.tables.accounts import keys

Permission = Literal["all", "read", "inference"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key. ``prefix`` is the beginning of the secret, to know it again; limits are null for none of its own."""

    id: str
    owner: str
    digest: bytes
    prefix: str
    name: str
    permission: Permission
    requests_per_minute: int | None
    tokens_per_minute: int | None
    created_at: int
    last_used_at: int | None
    expires_at: int | None


def _key(row: Row[Any]) -> Key:
    return Key(**row._mapping)


async def all_of_them(transaction: Transaction) -> list[Key]:
    """Every user's keys, oldest first."""
    return [_key(row) for row in await transaction.connection.execute(select(keys).order_by(keys.c.id))]


async def known(transaction: Transaction, digests: Sequence[bytes]) -> bool:
    """Whether any of these hashes is of one of them."""
    found = select(keys.c.id).where(keys.c.digest.in_(digests)).limit(1)
    return (await transaction.connection.execute(found)).first() is not None


async def add(scope: Scope, key: Key) -> None:
    """Insert a key."""
    await scope.add(keys, {column.name: getattr(key, column.name) for column in keys.c})


async def change(scope: Scope, key_id: str, **values: Any) -> Key:
    """Change columns of a key.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(scope.update(keys).where(keys.c.id == key_id).values(**values).returning(*keys.c))
    if row is None:
        raise _none(key_id)
    return _key(row)


async def remove(scope: Scope, key_id: str) -> None:
    """Delete a key.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(keys).where(keys.c.id == key_id)):
        raise _none(key_id)


async def used(transaction: Transaction, times: dict[tuple[str, str], int]) -> None:
    """Note when keys were used last, by owner and id."""
    for (owner, key_id), at in times.items():
        await transaction.connection.execute(
            update(keys).where(keys.c.owner == owner, keys.c.id == key_id).values(last_used_at=at)
        )


def _none(key_id: str) -> NotFound:
    return NotFound(f"There is no API key {key_id}; it may have been deleted.", param="key")
