"""The second factors of users: what their apps count codes from, and the codes for when those are lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from myna.store.scope import Scope, Transaction
from myna.store.tables.accounts import recovery_codes, second_factors


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A secret in base32 that a user's app shares. It is asked for once it is confirmed.

    ``last_step`` is the time step of the code that was taken last; none of it or before is taken again.
    """

    owner: str
    secret: str
    created_at: int
    confirmed_at: int | None
    last_step: int


async def find(scope: Scope) -> SecondFactor | None:
    """The owner's second factor."""
    row = await scope.first(scope.select(second_factors))
    return None if row is None else SecondFactor(**row._mapping)


async def confirmed(transaction: Transaction) -> set[str]:
    """The users who are asked for one."""
    found = select(second_factors.c.owner).where(second_factors.c.confirmed_at.is_not(None))
    return {owner for (owner,) in await transaction.connection.execute(found)}


async def begin(scope: Scope, secret: str, at: int) -> None:
    """Set one up that is not confirmed yet, in place of another that was not."""
    await remove(scope)
    row = {"secret": secret, "created_at": at, "confirmed_at": None, "last_step": 0}
    await scope.add(second_factors, row)


async def confirm(scope: Scope, at: int, digests: Sequence[bytes]) -> None:
    """Ask for it from now on; the digests are those of its recovery codes."""
    await scope.run(scope.update(second_factors).values(confirmed_at=at))
    await replace_codes(scope, digests)


async def replace_codes(scope: Scope, digests: Sequence[bytes]) -> None:
    """Other recovery codes; those from before are worth nothing any more."""
    await scope.run(scope.delete(recovery_codes))
    await scope.add(recovery_codes, *({"digest": digest, "used_at": None} for digest in digests))


async def use_step(scope: Scope, step: int) -> bool:
    """Take the code of a time step; False if it or a later one was taken already."""
    statement = scope.update(second_factors).where(second_factors.c.last_step < step).values(last_step=step)
    return bool(await scope.run(statement))


async def use_code(scope: Scope, digest: bytes, at: int) -> bool:
    """Take a recovery code; False if there is no such one, or it was taken already."""
    statement = (
        scope.update(recovery_codes)
        .where(recovery_codes.c.digest == digest, recovery_codes.c.used_at.is_(None))
        .values(used_at=at)
    )
    return bool(await scope.run(statement))


async def codes_left(scope: Scope) -> int:
    """Recovery codes that were not used."""
    unused = scope.select(recovery_codes, recovery_codes.c.digest).where(recovery_codes.c.used_at.is_(None))
    return len(await scope.all(unused))


async def remove(scope: Scope) -> None:
    """Ask for none from now on."""
    await scope.run(scope.delete(recovery_codes))
    await scope.run(scope.delete(second_factors))
