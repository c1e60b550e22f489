"""Conversations: items stay in one order, whoever adds them, and are read a page at a time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from myna.errors import InvalidParameter, NotFound
from myna.store import conversations, pages
from myna.store.database import Database, opened
from myna.store.pages import PageRequest, new_id
from tests.store.rows import OWNER
from tests.store.statements import counted


def said(*ids: str) -> list[dict[str, Any]]:
    return [{"id": each, "type": "message"} for each in ids]


async def created(database: Database, *ids: str) -> str:
    conversation_id = new_id("conv_")
    async with database.write(OWNER) as scope:
        await conversations.create(scope, conversation_id, {}, said(*ids))
    return conversation_id


async def ids_of(database: Database, conversation_id: str) -> list[str]:
    async with database.read(OWNER) as scope:
        return [item["id"] for item in await conversations.history(scope, conversation_id)]


async def test_items_keep_their_order_and_places_are_never_used_twice(database: Database) -> None:
    conversation = await created(database, "a", "b", "c")
    async with database.write(OWNER) as scope:
        await conversations.delete_item(scope, conversation, "c")
        await conversations.append(scope, conversation, said("d"))
        await conversations.append(scope, conversation, [])
        await conversations.append(scope, conversation, said("c"))
    assert await ids_of(database, conversation) == ["a", "b", "d", "c"]


async def test_what_is_added_at_once_by_many_stays_together(database: Database) -> None:
    conversation = await created(database)

    async def add(writer: int) -> None:
        async with database.write(OWNER) as scope:
            await conversations.append(scope, conversation, said(*(f"{writer}-{index}" for index in range(3))))

    await asyncio.gather(*(add(writer) for writer in range(20)))
    ids = await ids_of(database, conversation)
    assert len(ids) == 60
    for first in range(0, 60, 3):
        writer = ids[first].partition("-")[0]
        assert ids[first : first + 3] == [f"{writer}-{index}" for index in range(3)]


async def test_a_long_conversation_is_read_in_pages_of_constant_cost(database: Database) -> None:
    conversation = await created(database, *(f"i{index}" for index in range(500)))
    after, seen = None, []
    while True:
        async with database.read(OWNER) as scope:
            with counted(database) as count:
                found = await conversations.items(scope, conversation, PageRequest(100, after, "asc"))
        assert count.statements <= 4
        assert len(found.items) == 100
        seen += [item["id"] for item in found.items]
        if not found.has_more:
            break
        after = seen[-1]
    assert seen == [f"i{index}" for index in range(500)]


async def test_a_page_of_large_items_is_shorter(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_CHARACTERS", 2_500)
    conversation = await created(database)
    async with database.write(OWNER) as scope:
        sizes = (10, 1_000, 1_000, 5_000, 1_000, 10)
        large = [{"id": str(index), "text": "x" * size} for index, size in enumerate(sizes)]
        await conversations.append(scope, conversation, large)
    after, seen = None, []
    async with database.read(OWNER) as scope:
        while True:
            found = await conversations.items(scope, conversation, PageRequest(5, after, "asc"))
            seen.append("".join(item["id"] for item in found.items))
            after = found.items[-1]["id"]
            if not found.has_more:
                break
    assert seen == ["012", "3", "45"]


async def test_a_page_begins_after_an_item_of_the_conversation(database: Database) -> None:
    conversation, other = await created(database, "a", "b", "c"), await created(database, "x")
    async with database.read(OWNER) as scope:
        found = await conversations.items(scope, conversation, PageRequest(1, "c"))
        assert ([item["id"] for item in found.items], found.has_more) == (["b"], True)
        with pytest.raises(InvalidParameter, match="'after' x is no item"):
            await conversations.items(scope, conversation, PageRequest(1, "x"))
        assert await conversations.item(scope, other, "x") == said("x")[0]
        with pytest.raises(NotFound, match="no item x"):
            await conversations.item(scope, conversation, "x")


@pytest.mark.parametrize("ids", [("c", "a"), ("c", "c")])
async def test_an_id_is_taken_once_and_then_nothing_is_added(database: Database, ids: tuple[str, str]) -> None:
    conversation = await created(database, "a", "b")
    with pytest.raises(InvalidParameter, match=r"items\[1\]\.id"):
        async with database.write(OWNER) as scope:
            await conversations.append(scope, conversation, said(*ids))
    assert await ids_of(database, conversation) == ["a", "b"]
    async with database.write(OWNER) as scope:
        await conversations.append(scope, conversation, said("c"))
    assert await ids_of(database, conversation) == ["a", "b", "c"]


async def test_deleting_a_conversation_deletes_its_items(database: Database) -> None:
    conversation = await created(database, "a")
    async with database.write(OWNER) as scope:
        await conversations.delete(scope, conversation)
    for ask in (conversations.get, conversations.history, conversations.delete):
        with pytest.raises(NotFound, match=conversation):
            async with database.write(OWNER) as scope:
                await ask(scope, conversation)


KILLED = """
import asyncio, sys
from pathlib import Path
from myna.store import conversations
from myna.store.database import Database

async def main():
    database = await Database.open(Path(sys.argv[1]))
    number = 0
    while True:
        async with database.write("local") as scope:
            await conversations.append(scope, "conv_1", [{"id": f"{number}-{part}"} for part in range(50)])
        number += 1
        print(number, flush=True)

asyncio.run(main())
"""


def kill_while_it_adds(data_dir: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 3:
            break
    process.kill()
    process.wait()
    process.stdout.close()


async def test_a_server_that_is_killed_leaves_what_was_added_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as database, database.write(OWNER) as scope:
        await conversations.create(scope, "conv_1", {})
    kill_while_it_adds(tmp_path)
    async with opened(tmp_path) as database:
        ids = await ids_of(database, "conv_1")
    assert len(ids) % 50 == 0
    assert len(ids) >= 150
    assert ids == [f"{number}-{part}" for number in range(len(ids) // 50) for part in range(50)]
