"""The passkeys of users: what tells that a browser has one, and what browsers were asked to sign with theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, insert, select

from myna.errors import NotFound
from myna.store.scope import Scope, Transaction
from myna.store.tables.accounts import passkey_challenges, passkeys


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key pair of which a user's authenticator has the secret half.

    Attributes:
        owner: whose.
        id: of the row.
        name: for people.
        site: the host name that it was made for.
        credential: by what the authenticator knows it, at most 1023 bytes.
        public_key: COSE.
        uses: the authenticator's count of what it has signed; 0 where it keeps none.
        synced: whether it is on more than one device.
        created_at: Unix milliseconds.
        last_used_at: likewise; None: not yet.
    """

    owner: str
    id: str
    name: str
    site: str
    credential: bytes
    public_key: bytes
    uses: int
    synced: bool
    created_at: int
    last_used_at: int | None


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(**row._mapping)


async def find(transaction: Transaction, credential: bytes) -> Passkey | None:
    """The passkey, whoever's, that an authenticator knows by this."""
    row = (await transaction.connection.execute(select(passkeys).where(passkeys.c.credential == credential))).first()
    return None if row is None else _passkey(row)


async def of_owner(scope: Scope) -> list[Passkey]:
    """The owner's, oldest first."""
    return [_passkey(row) for row in await scope.all(scope.select(passkeys).order_by(passkeys.c.id))]


async def counts(transaction: Transaction, owners: Sequence[str]) -> dict[str, int]:
    """How many of these users have how many."""
    statement = select(passkeys.c.owner, func.count()).where(passkeys.c.owner.in_(owners)).group_by(passkeys.c.owner)
    return {row[0]: row[1] for row in await transaction.connection.execute(statement)}


async def add(scope: Scope, passkey: Passkey) -> None:
    """Insert one."""
    await scope.add(passkeys, {column.name: getattr(passkey, column.name) for column in passkeys.c})


async def rename(scope: Scope, passkey_id: str, name: str) -> Passkey:
    """Call one otherwise.

    Raises:
        NotFound: the owner has none of this id.
    """
    statement = scope.update(passkeys).where(passkeys.c.id == passkey_id).values(name=name).returning(*passkeys.c)
    row = await scope.first(statement)
    if row is None:
        raise _missing(passkey_id)
    return _passkey(row)


async def use(scope: Scope, passkey_id: str, uses: int, at: int) -> bool:
    """Note that one was used; False if it is gone, or was used as often already, as only a copy of it can be."""
    counted = passkeys.c.uses < uses if uses else passkeys.c.uses == 0
    statement = scope.update(passkeys).where(passkeys.c.id == passkey_id, counted)
    return bool(await scope.run(statement.values(uses=uses, last_used_at=at)))


async def remove(scope: Scope, passkey_id: str) -> str:
    """Delete one; its name.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(scope.delete(passkeys).where(passkeys.c.id == passkey_id).returning(passkeys.c.name))
    if row is None:
        raise _missing(passkey_id)
    return str(row.name)


async def remove_all(scope: Scope) -> int:
    """Delete the owner's; how many they were."""
    return await scope.run(scope.delete(passkeys))


async def ask(transaction: Transaction, digest: bytes, at: int, expires_at: int, most: int) -> None:
    """Remember that a browser was asked to sign something; of more than ``most`` the oldest are forgotten."""
    table = passkey_challenges
    await transaction.connection.execute(delete(table).where(table.c.expires_at <= at))
    kept = select(table.c.digest).order_by(table.c.expires_at.desc()).limit(most - 1)
    await transaction.connection.execute(delete(table).where(table.c.digest.not_in(kept)))
    await transaction.connection.execute(insert(table), {"digest": digest, "expires_at": expires_at})


async def take(transaction: Transaction, digest: bytes, at: int) -> bool:
    """Forget it again: whether a browser was asked, not too long ago, and has not answered yet."""
    table = passkey_challenges
    taken = delete(table).where(table.c.digest == digest, table.c.expires_at > at)
    return bool((await transaction.connection.execute(taken)).rowcount)


def _missing(passkey_id: str) -> NotFound:
    return NotFound(f"There is no passkey {passkey_id}; it may have been removed.", param="passkey")
