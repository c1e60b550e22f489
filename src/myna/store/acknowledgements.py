"""Which licences a user has read and acknowledged."""

from __future__ import annotations

from myna.store.records import Acknowledgement
from myna.store.scope import Scope
from myna.store.tables.models import acknowledgements

COLUMNS = [column for column in acknowledgements.c if column is not acknowledgements.c.owner]


async def listed(scope: Scope) -> list[Acknowledgement]:
    """All of the owner's, oldest first."""
    rows = await scope.all(
        scope.select(acknowledgements, *COLUMNS).order_by(acknowledgements.c.at, acknowledgements.c.licence)
    )
    return [Acknowledgement(**row._mapping) for row in rows]


async def has(scope: Scope, licence: str) -> bool:
    """Whether the owner has acknowledged a licence."""
    statement = scope.select(acknowledgements, acknowledgements.c.at).where(acknowledgements.c.licence == licence)
    return await scope.first(statement) is not None


async def add(scope: Scope, made: Acknowledgement) -> bool:
    """Keep an acknowledgement; whether it is new. The first one stays."""
    # Writers take turns, so nobody can add the row between the two.
    if await has(scope, made.licence):
        return False
    await scope.add(acknowledgements, {column.name: getattr(made, column.name) for column in COLUMNS})
    return True
