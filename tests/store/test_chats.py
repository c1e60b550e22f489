from __future__ import annotations

import pytest

from myna.errors import NotFound
from myna.store import chats, messages, runs
from myna.store.database import Database
from myna.store.tables import metadata
from tests.store.rows import OWNER, add_chat, chat, new_id, run
from tests.store.statements import counted


async def test_pages_are_complete_even_among_equal_times(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made = [chat(updated_at=5 if number < 7 else number) for number in range(12)]
        for each in made:
            await chats.create(scope, each)
        listed = []
        before = None
        while page := await chats.page(scope, before, 3):
            listed += page
            before = (page[-1].updated_at, page[-1].id)
    assert listed == sorted(made, key=lambda each: (each.updated_at, each.id), reverse=True)


async def test_each_change_counts_the_version_up(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made = chat()
        await chats.create(scope, made)
        assert (await chats.update(scope, made.id, title="a")).version == made.version + 1
        assert (await chats.update(scope, made.id, title="b")).version == made.version + 2
        with pytest.raises(NotFound):
            await chats.update(scope, new_id(), title="c")


async def test_deleting_a_chat_leaves_no_row_of_it(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, branch = await add_chat(scope, "one", "two", "three")
        running = run(made.id, branch[1].id)
        await runs.add(scope, running)
        await chats.delete(scope, made.id)
    async with database.read(OWNER) as scope:
        for name in ("chats", "messages", "parts", "runs", "run_events"):
            assert await scope.all(scope.select(metadata.tables[name])) == [], name
    async with database.write(OWNER) as scope:
        with pytest.raises(NotFound):
            await chats.delete(scope, made.id)


async def test_all_chats_are_changed_without_naming_each(database: Database) -> None:
    kept = chat(project_id=new_id())
    async with database.write(OWNER) as scope:
        for each in (kept, *(chat() for _ in range(40))):
            await chats.create(scope, each)
        with counted(database) as count:
            assert len(await chats.mark_all(scope, chats.EVERY_CHAT, "archived_at", 7)) == 41
            assert len(await chats.delete_all(scope, chats.Filter(archived=True, project="none"))) == 40
        assert count.values < 10
        assert [each.id for each in await chats.page(scope, None, 10)] == [kept.id]


async def test_an_id_can_be_used_by_every_owner(database: Database) -> None:
    async with database.write("one") as scope:
        made, (asked,) = await add_chat(scope, "mine")
    async with database.write("two") as scope:
        await chats.create(scope, made)
        await messages.add(scope, asked)
        await messages.delete(scope, asked.id)
        await chats.delete(scope, made.id)
    async with database.read("one") as scope:
        assert (await messages.get(scope, asked.id)).text == "mine"
