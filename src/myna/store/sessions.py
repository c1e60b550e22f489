"""The sessions of users' browsers. A session is found by the hash of its token, which its browser alone has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, delete, select, update

from myna.store.scope import Scope, Transaction
from myna.store.tables.accounts import sessions

Method = Literal["password", "provider", "passkey"]


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in, by ``method``. ``agent`` and ``address`` are for people, to know it again."""

    id: str
    owner: str
    digest: bytes
    created_at: int
    last_used_at: int
    expires_at: int
    agent: str | None
    address: str | None
    method: Method = "password"


def _session(row: Row[Any]) -> Session:
    return Session(**row._mapping)


async def all_of_them(transaction: Transaction) -> list[Session]:
    """Every user's sessions, oldest first."""
    return [_session(row) for row in await transaction.connection.execute(select(sessions).order_by(sessions.c.id))]


async def known(transaction: Transaction, digests: Sequence[bytes]) -> bool:
    """Whether any of these hashes is of one of them."""
    found = select(sessions.c.id).where(sessions.c.digest.in_(digests)).limit(1)
    return (await transaction.connection.execute(found)).first() is not None


async def add(scope: Scope, session: Session) -> None:
    """Insert a session."""
    await scope.add(sessions, {column.name: getattr(session, column.name) for column in sessions.c})


async def remove(scope: Scope, *ids: str) -> None:
    """Delete sessions of the owner; those that he does not have are left alone."""
    await scope.run(scope.delete(sessions).where(sessions.c.id.in_(ids)))


async def used(transaction: Transaction, times: dict[tuple[str, str], tuple[int, int]]) -> None:
    """Note when sessions were used and when they will expire now, by owner and id."""
    for (owner, session_id), (at, expires) in times.items():
        await transaction.connection.execute(
            update(sessions)
            .where(sessions.c.owner == owner, sessions.c.id == session_id)
            .values(last_used_at=at, expires_at=expires)
        )


async def remove_expired(transaction: Transaction, before: int) -> None:
    """Delete every user's sessions that expired before a time."""
    await transaction.connection.execute(delete(sessions).where(sessions.c.expires_at <= before))
