from __future__ import annotations

import pytest

from myna.errors import NotFound
from myna.store import changes, chats, projects
from myna.store.database import Database
from myna.store.records import Project
from tests.store.rows import OWNER, chat, new_id


def project(name: str = "Garden") -> Project:
    return Project(new_id(), name, "Answer briefly.", 1, 1, 1)


async def test_chats_stay_when_their_project_goes(database: Database) -> None:
    made, other = project(), project("Kitchen")
    async with database.write(OWNER) as scope:
        await projects.create(scope, made)
        await projects.create(scope, other)
        inside = [chat(project_id=made.id) for _ in range(3)]
        elsewhere = chat(project_id=other.id)
        for each in (*inside, elsewhere):
            await chats.create(scope, each)
        before = await changes.latest(scope)
    async with database.write(OWNER) as scope:
        await projects.delete(scope, made.id)
        with pytest.raises(NotFound):
            await projects.delete(scope, made.id)
    async with database.read(OWNER) as scope:
        assert await projects.listed(scope) == [other]
        now = await chats.of_ids(scope, [each.id for each in (*inside, elsewhere)])
        assert [now[each.id].project_id for each in inside] == [None] * 3
        assert [now[each.id].version for each in inside] == [2] * 3
        assert now[elsewhere.id] == elsewhere
        told = await changes.after(scope, before, 10)
    assert told is not None
    assert {(change.kind, change.id) for change in told} == {
        ("project_deleted", made.id), *(("chat", each.id) for each in inside)
    }  # fmt: skip


async def test_each_change_counts_the_version_up(database: Database) -> None:
    made = project()
    async with database.write(OWNER) as scope:
        await projects.create(scope, made)
        assert (await projects.update(scope, made.id, name="Roof", updated_at=2)).version == 2
        assert (await projects.get(scope, made.id)).name == "Roof"
        with pytest.raises(NotFound):
            await projects.update(scope, new_id(), name="none")
