"""A long chat opens with its end, and gives the rest when it is asked for it."""

from __future__ import annotations

import pytest

from myna.errors import NotFound
from myna.runs.transcripts import OPENED_BYTES, ending
from myna.store import chats, messages
from myna.store.database import Database
from myna.store.records import Node
from tests.runs.conversation import OWNER, Talk, new_id
from tests.store.rows import add_chat, message
from tests.store.statements import counted

LONG = "x" * (OPENED_BYTES // 4 + 1)


async def test_a_chat_opens_with_the_end_of_its_branch(talk: Talk, database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, branch = await add_chat(scope, *[LONG] * 40)
        aside = message(made.id, branch[38].id, "another version")
        await messages.add(scope, aside)
        await chats.update(scope, made.id, leaf_id=branch[-1].id)
    opened = await talk.service.open_chat(OWNER, made.id)
    assert {node.id for node in opened.tree} == {each.id for each in (*branch, aside)}
    assert [each.id for each in opened.messages] == [each.id for each in branch[-3:]]
    assert sum(len(each.text) for each in opened.messages) <= OPENED_BYTES
    wanted = [branch[0].id, aside.id]
    found, runs = await talk.service.contents(OWNER, made.id, [*wanted, new_id()])
    assert {each.id: each.text for each in found} == {branch[0].id: LONG, aside.id: "another version"}
    assert runs == []


async def test_opening_costs_as_many_queries_however_long_a_chat_is(talk: Talk, database: Database) -> None:
    async with database.write(OWNER) as scope:
        short, _ = await add_chat(scope, "one", "two")
        long, _ = await add_chat(scope, *["three"] * 200)
    counts = []
    for each in (short, long):
        with counted(database) as count:
            await talk.service.open_chat(OWNER, each.id)
        counts.append(count.statements)
    assert counts[0] == counts[1] <= 5


async def test_an_answer_that_is_written_elsewhere_in_the_tree_comes_with_its_text(talk: Talk) -> None:
    first = await talk.exchange("one", "uno")
    created, reply = await talk.ask("two", first.messages[1].id)
    reply.start()
    reply.say("dos")
    await talk.exchange("one, edited", "another branch")
    opened = await talk.service.open_chat(OWNER, talk.chat_id)
    assert [run.id for run in opened.runs] == [created.run.id]
    writing = next(each for each in opened.messages if each.id == created.run.message_id)
    found, (run,) = await talk.service.contents(OWNER, talk.chat_id, [writing.id])
    assert found[0].status == "running"
    assert run.last_event > 0
    assert found[0].text == "dos"
    reply.finish()
    await talk.ended(created.run.id)


async def test_messages_of_other_chats_are_not_found(talk: Talk) -> None:
    first = await talk.exchange("one", "uno")
    talk.chat_id, elsewhere = new_id(), talk.chat_id
    await talk.exchange("two", "dos")
    assert await talk.service.contents(OWNER, talk.chat_id, [first.messages[0].id]) == ([], [])
    with pytest.raises(NotFound):
        await talk.service.contents("somebody else", elsewhere, [first.messages[0].id])


def node(name: str, parent: str | None, size: int = 1) -> Node:
    return Node(name, parent, "user", "complete", None, 0, None, size)


@pytest.mark.parametrize(
    ("tree", "leaf", "expected"),
    [
        ([], None, set()),
        ([node("a", None), node("b", "a")], None, {"a", "b"}),
        ([node("a", None), node("b", "a"), node("c", "a")], "b", {"a", "b"}),
        ([node("a", None), node("b", "a")], "gone", {"a", "b"}),
        ([node("a", None), node("b", "a", OPENED_BYTES * 9)], "b", {"b"}),
        ([node("a", "gone"), node("b", "a")], "b", {"a", "b"}),
    ],
)
def test_the_end_of_a_branch(tree: list[Node], leaf: str | None, expected: set[str]) -> None:
    assert ending(tree, leaf) == expected
