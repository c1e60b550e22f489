from __future__ import annotations

from myna.chat import ReasoningPart, TextPart
from myna.store import branches, messages, transcripts
from myna.store.database import Database
from tests.store.rows import OWNER, add_chat, chat, message, new_id
from tests.store.statements import counted


async def test_a_tree_tells_places_and_sizes_and_no_text(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked, answer) = await add_chat(scope, "question", "answer")
        parts = (TextPart("four"), TextPart("and six"))
        other = message(made.id, asked.id, parts=parts, role="assistant", status="stopped", model="m")
        silent = message(made.id, other.id, parts=())
        for each in (other, silent):
            await messages.add(scope, each)
        await add_chat(scope, "another chat")
    async with database.read(OWNER) as scope:
        with counted(database) as count:
            nodes = {node.id: node for node in await transcripts.tree(scope, made.id)}
    assert count.statements == 1
    assert [nodes[each.id].size for each in (asked, answer, other, silent)] == [8, 6, 11, 0]
    assert nodes[silent.id].parent_id == other.id
    assert (nodes[other.id].role, nodes[other.id].status, nodes[other.id].model) == ("assistant", "stopped", "m")


async def test_a_tree_is_ordered_as_its_messages_are(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, told = await add_chat(scope, "one", "two", "three")
        empty = chat()
    async with database.read(OWNER) as scope:
        assert [node.id for node in await transcripts.tree(scope, made.id)] == [message.id for message in told]
        assert await transcripts.tree(scope, empty.id) == []


async def test_sizes_follow_what_is_written(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked, answer) = await add_chat(scope, "question", "answer")
        await messages.begin(scope, answer.id, run_id=new_id(), model="m")
        now = (ReasoningPart("größer"), TextPart("als"))
        await messages.finish(scope, answer.id, parts_now=now, status="complete", usage=None, error=None)
        await branches.edit(scope, asked.id, "大", known=None)
        _, version = await branches.copy(scope, answer.id, new_id(), "kleiner")
        fork = await branches.fork(scope, made.id, version.id, new_id())
    async with database.read(OWNER) as scope:
        sizes = {node.id: node.size for node in await transcripts.tree(scope, made.id)}
        assert sizes == {asked.id: 3, answer.id: 8 + 3, version.id: 8 + 7}
        assert [node.size for node in await transcripts.tree(scope, fork.id)] == [3, 8 + 7]
