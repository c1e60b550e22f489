from __future__ import annotations

import pytest

from myna.store import changes
from myna.store.database import Database
from tests.store.rows import OWNER, new_id


async def test_changes_are_read_in_order_from_any_cursor(database: Database) -> None:
    ids = [new_id() for _ in range(5)]
    async with database.write(OWNER) as scope:
        assert await changes.latest(scope) == 0
        assert await changes.after(scope, 0, 10) == []
        for id_ in ids:
            await changes.record(scope, "chat", id_)
    async with database.write("somebody else") as scope:
        await changes.record(scope, "chat", new_id())
    async with database.read(OWNER) as scope:
        found = await changes.after(scope, 0, 3)
        assert found is not None
        assert [change.id for change in found] == ids[:3]
        rest = await changes.after(scope, found[-1].cursor, 3)
        assert rest is not None
        assert [change.id for change in rest] == ids[3:]
        assert await changes.after(scope, await changes.latest(scope), 3) == []
        assert await changes.after(scope, await changes.latest(scope) + 1, 3) is None


async def test_old_changes_are_pruned_and_who_needs_them_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "KEPT", 20)
    monkeypatch.setattr(changes, "_PRUNE_EVERY", 10)
    async with database.write(OWNER) as scope:
        for _ in range(105):
            await changes.record(scope, "chat", new_id())
        latest = await changes.latest(scope)
        kept = [cursor for cursor in range(latest) if await changes.after(scope, cursor, 1) is not None]
        assert len(kept) == 25
        oldest = await changes.after(scope, kept[0], 100)
    assert oldest is not None
    assert [change.cursor for change in oldest] == list(range(kept[0] + 1, latest + 1))
