"""Who users are at the identity provider. One is found by issuer and subject, never by a name or an address."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from myna.store.scope import Scope, Transaction
from myna.store.tables.accounts import provider_identities


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """A user at a provider; ``label`` is what the provider calls him, for people."""

    owner: str
    issuer: str
    subject: str
    label: str | None
    created_at: int
    last_used_at: int | None


async def find(transaction: Transaction, issuer: str, subject: str) -> ProviderIdentity | None:
    """Whoever is known by this."""
    table = provider_identities
    statement = select(table).where(table.c.issuer == issuer, table.c.subject == subject)
    row = (await transaction.connection.execute(statement)).first()
    return None if row is None else ProviderIdentity(**row._mapping)


async def of_owner(scope: Scope) -> list[ProviderIdentity]:
    """Who the owner is at providers."""
    rows = await scope.all(scope.select(provider_identities).order_by(provider_identities.c.issuer))
    return [ProviderIdentity(**row._mapping) for row in rows]


async def add(scope: Scope, identity: ProviderIdentity) -> None:
    """Insert one."""
    table = provider_identities
    await scope.add(table, {column.name: getattr(identity, column.name) for column in table.c})


async def used(transaction: Transaction, identity: ProviderIdentity, at: int) -> None:
    """Note that the user signed in with it."""
    table = provider_identities
    await transaction.connection.execute(
        update(table).where(table.c.owner == identity.owner, table.c.issuer == identity.issuer).values(last_used_at=at)
    )


async def remove(scope: Scope, issuer: str) -> bool:
    """Forget who the owner is at a provider; whether he was anybody."""
    return bool(await scope.run(scope.delete(provider_identities).where(provider_identities.c.issuer == issuer)))
