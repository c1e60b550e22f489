"""Invitations to make an account. One is found by the hash of the secret in its link, which is shown once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update

from myna.errors import NotFound
from myna.store.scope import Scope, Transaction
from myna.store.tables.accounts import invitations
from myna.store.users import Role


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who may make an account with it: whoever has its link, ``most_uses`` times, until it expires or is revoked.

    ``owner`` is who invites, ``role`` what the new users are, ``name`` whom it is meant for.
    """

    id: str
    owner: str
    digest: bytes
    role: Role
    name: str | None
    most_uses: int
    uses: int
    created_at: int
    expires_at: int
    revoked_at: int | None


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(**row._mapping)


async def add(scope: Scope, invitation: Invitation) -> None:
    """Insert an invitation."""
    await scope.add(invitations, {column.name: getattr(invitation, column.name) for column in invitations.c})


async def count(scope: Scope) -> int:
    """How many the owner has, whatever became of them."""
    return len(await scope.all(scope.select(invitations, invitations.c.id)))


async def all_of_them(transaction: Transaction) -> list[Invitation]:
    """Everybody's invitations, the newest first."""
    statement = select(invitations).order_by(invitations.c.created_at.desc(), invitations.c.id.desc())
    return [_invitation(row) for row in await transaction.connection.execute(statement)]


async def by_digest(transaction: Transaction, digest: bytes) -> Invitation | None:
    """The invitation of a secret, whoever made it: who follows a link does not know."""
    row = (await transaction.connection.execute(select(invitations).where(invitations.c.digest == digest))).first()
    return None if row is None else _invitation(row)


async def use(transaction: Transaction, digest: bytes, at: int) -> Invitation | None:
    """Count a use; None if there is none left, it has expired or was revoked. The last one is used once."""
    statement = (
        update(invitations)
        .where(
            invitations.c.digest == digest,
            invitations.c.uses < invitations.c.most_uses,
            invitations.c.expires_at > at,
            invitations.c.revoked_at.is_(None),
        )
        .values(uses=invitations.c.uses + 1)
        .returning(*invitations.c)
    )
    row = (await transaction.connection.execute(statement)).first()
    return None if row is None else _invitation(row)


async def by_id(transaction: Transaction, invitation_id: str) -> Invitation:
    """An invitation, whoever made it: owners and admins manage those of each other.

    Raises:
        NotFound: there is none of this id.
    """
    row = (await transaction.connection.execute(select(invitations).where(invitations.c.id == invitation_id))).first()
    if row is None:
        raise NotFound(f"There is no invitation {invitation_id}; it may have been deleted.", param="invitation")
    return _invitation(row)


async def revoke(scope: Scope, invitation_id: str, at: int) -> None:
    """Let nobody use it from now on. It stays, so that who follows its link learns why."""
    await scope.run(scope.update(invitations).where(invitations.c.id == invitation_id).values(revoked_at=at))


async def remove(scope: Scope, invitation_id: str) -> None:
    """Delete an invitation of the owner; one that he does not have is left alone."""
    await scope.run(scope.delete(invitations).where(invitations.c.id == invitation_id))
