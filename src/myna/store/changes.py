"""What changed in an owner's lists, in order: a row a change, written in the transaction that makes it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select

from myna.store.records import Change, ChangeKind
from myna.store.scope import Scope
from myna.store.tables.chats import changes

KEPT = 10_000
"""Changes kept, of all owners together; who is further behind fetches the lists anew."""
_PRUNE_EVERY = 500


async def record(scope: Scope, kind: ChangeKind, entity_id: str) -> None:
    """Append a change; now and then drop those that are too old."""
    statement = insert(changes).values(owner=scope.owner, kind=kind, id=entity_id).returning(changes.c.cursor)
    row = await scope.first(statement)
    assert row is not None
    scope.note_change()
    if row.cursor % _PRUNE_EVERY == 0:
        # The newest row always stays, so that `latest` never falls back. Cursors are counted over all owners.
        await scope.run(delete(changes).where(changes.c.cursor <= row.cursor - KEPT))


async def record_all(scope: Scope, kind: ChangeKind, entity_ids: Sequence[str]) -> None:
    """As `record`, of many things of one kind, in as few statements."""
    if not entity_ids:
        return
    await scope.add(changes, *({"kind": kind, "id": entity_id} for entity_id in entity_ids))
    scope.note_change()
    newest = select(func.max(changes.c.cursor)).scalar_subquery()
    await scope.run(delete(changes).where(changes.c.cursor <= newest - KEPT))


async def latest(scope: Scope) -> int:
    """Cursor of the newest change; 0 before the first."""
    row = await scope.first(select(func.max(changes.c.cursor).label("newest")))
    assert row is not None
    return row.newest or 0


async def after(scope: Scope, cursor: int, limit: int) -> list[Change] | None:
    """The owner's next changes after a cursor, oldest first; None when some of them are no longer kept."""
    oldest = select(func.min(changes.c.cursor)).scalar_subquery().label("oldest")
    newest = select(func.max(changes.c.cursor)).scalar_subquery().label("newest")
    bounds = await scope.first(select(oldest, newest))
    assert bounds is not None
    first, last = bounds.oldest or 1, bounds.newest or 0
    if cursor > last or cursor + 1 < first:  # from another database's time, or pruned
        return None
    if cursor == last:
        return []
    rows = await scope.all(
        scope.select(changes).where(changes.c.cursor > cursor).order_by(changes.c.cursor).limit(limit)
    )
    return [Change(row.cursor, row.kind, row.id) for row in rows]
