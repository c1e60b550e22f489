from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myna.chat import TextPart
from myna.errors import Conflict, NotFound
from myna.store import chats, messages, runs, transcripts
from myna.store.database import Database
from myna.store.records import Failure, Message, Usage
from myna.store.scope import Scope
from tests.store.rows import OWNER, add_chat, chat, message, messages_of, new_id, run
from tests.store.statements import counted


async def test_a_message_comes_back_as_it_was(database: Database) -> None:
    usage = Usage(5, 6, 4, "stop", 2**62, 0.125, 1.5)
    async with database.write(OWNER) as scope:
        made, (asked,) = await add_chat(scope, "hello")
        parts = (TextPart("one", (1, 2, 2**31 - 1), "vocabulary"), TextPart("two", (), "vocabulary"), TextPart("three"))
        answer = message(made.id, asked.id, role="assistant", parts=parts, status="failed", model="m", run_id=new_id(),
                         usage=usage, error=Failure("engine_crashed", "It ended."))  # fmt: skip
        await messages.add(scope, answer)
        assert await messages.get(scope, answer.id) == answer


async def test_the_context_is_one_branch_without_empty_messages(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, branch = await add_chat(scope, "one", "two")
        await messages.add(scope, message(made.id, branch[0].id, "another branch"))
        silent = message(made.id, branch[1].id, parts=())
        await messages.add(scope, silent)
        last = message(made.id, silent.id, parts=(TextPart("three, ", (3,), "v"), TextPart("four")))
        await messages.add(scope, last)
        context = await messages.context(scope, made.id, last.id)
    assert [turn.text for turn in context] == ["one", "two", "three, four"]
    assert context[2].parts == last.parts


async def test_a_parent_of_another_chat_is_impossible(database: Database) -> None:
    async with database.write(OWNER) as scope:
        _, (elsewhere,) = await add_chat(scope, "elsewhere")
        made, _ = await add_chat(scope)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        async with database.write(OWNER) as scope:
            await messages.add(scope, message(made.id, elsewhere.id))


async def test_deleting_the_shown_leaf_shows_the_youngest_branch_that_is_left(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked, first) = await add_chat(scope, "question", "first answer")
        second = message(made.id, asked.id, "second answer")
        await messages.add(scope, second)
        await chats.update(scope, made.id, leaf_id=first.id)
        await messages.delete(scope, first.id)
        assert (await chats.get(scope, made.id)).leaf_id == second.id
        await messages.delete(scope, second.id)
        assert (await chats.get(scope, made.id)).leaf_id == asked.id
        await messages.delete(scope, asked.id)
        assert (await chats.get(scope, made.id)).leaf_id is None
        with pytest.raises(NotFound):
            await messages.delete(scope, asked.id)


async def test_an_answer_in_the_making_is_not_deleted(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked,) = await add_chat(scope, "question")
        await runs.add(scope, run(made.id, asked.id))
        with pytest.raises(Conflict):
            await messages.delete(scope, asked.id)


async def test_the_cost_of_a_turn_does_not_grow_with_the_chat(database: Database) -> None:
    async with database.write(OWNER) as scope:
        short, _ = await add_chat(scope, "one")
        long, branch = await add_chat(scope, *(f"message {number}" for number in range(300)))

    async def turn(chat_id: str, parent_id: str | None) -> int:
        async with database.write(OWNER) as scope:
            with counted(database) as count:
                await messages.add(scope, message(chat_id, parent_id))
                await chats.update(scope, chat_id, title="new")
            return count.statements

    async def opening(chat_id: str) -> int:
        async with database.read(OWNER) as scope:
            with counted(database) as count:
                await chats.get(scope, chat_id)
                await transcripts.tree(scope, chat_id)
                await runs.open_in_chat(scope, chat_id)
            return count.statements

    async def context(chat_id: str, leaf_id: str) -> int:
        async with database.read(OWNER) as scope:
            with counted(database) as count:
                await messages.context(scope, chat_id, leaf_id)
            return count.statements

    assert await turn(short.id, None) == await turn(long.id, branch[-1].id) == 11
    assert await opening(short.id) == await opening(long.id) == 3
    assert await context(long.id, branch[-1].id) == 1


class Model:
    """What the tree should be, kept in plain Python beside the store."""

    def __init__(self, chat_id: str) -> None:
        self.chat_id = chat_id
        self.messages: dict[str, Message] = {}
        self.parents: dict[str, str | None] = {}

    def add(self, new: Message) -> None:
        self.messages[new.id] = new
        self.parents[new.id] = new.parent_id

    def delete(self, message_id: str) -> None:
        above = self.parents.pop(message_id)
        del self.messages[message_id]
        self.parents = {id_: above if parent == message_id else parent for id_, parent in self.parents.items()}

    def branch(self, leaf_id: str | None) -> list[str]:
        texts: list[str] = []
        while leaf_id is not None:
            texts.insert(0, self.messages[leaf_id].text)
            leaf_id = self.parents[leaf_id]
        return texts

    async def check(self, scope: Scope) -> None:
        stored = await messages_of(scope, self.chat_id)
        assert {found.id: found.parent_id for found in stored} == self.parents
        assert {found.id: found.text for found in stored} == {id_: kept.text for id_, kept in self.messages.items()}
        leaf_id = (await chats.get(scope, self.chat_id)).leaf_id
        assert (leaf_id in self.messages) if self.messages else leaf_id is None
        for id_ in self.messages:
            context = await messages.context(scope, self.chat_id, id_)
            assert [turn.text for turn in context] == self.branch(id_)


ACTION = st.tuples(st.sampled_from(["append", "append", "branch", "root", "delete", "show"]), st.integers(0, 99))


@settings(max_examples=25)
@given(actions=st.lists(ACTION, min_size=12, max_size=25))
def test_no_storm_of_edits_breaks_the_tree_or_loses_a_text(
    actions: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(storm(actions, tmp_path_factory.mktemp("storm")))


async def storm(actions: list[tuple[str, int]], directory: Path) -> None:
    database = await Database.open(directory)
    async with database.write(OWNER) as scope:
        made = chat()
        await chats.create(scope, made)
        model = Model(made.id)
        for number, (action, choice) in enumerate(actions):
            ids = list(model.messages)
            chosen = ids[choice % len(ids)] if ids else None
            leaf_id = (await chats.get(scope, made.id)).leaf_id
            if action == "delete" and chosen:
                await messages.delete(scope, chosen)
                model.delete(chosen)
                await model.check(scope)
            elif action == "show" and chosen:
                await chats.update(scope, made.id, leaf_id=chosen)
            elif action != "delete" and action != "show":
                parent = {"append": leaf_id, "branch": chosen, "root": None}[action]
                new = message(made.id, parent, f"text {number}")
                await messages.add(scope, new)
                await chats.update(scope, made.id, leaf_id=new.id)
                model.add(new)
        await model.check(scope)
    await database.close()
