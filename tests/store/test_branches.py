from __future__ import annotations

import pytest

from myna.chat import TextPart
from myna.errors import Conflict, NotFound
from myna.store import branches, chats, messages, search
from myna.store.database import Database
from myna.store.query import parse
from myna.store.records import Usage
from tests.store.rows import OWNER, add_chat, message, messages_of, new_id
from tests.store.statements import counted

USAGE = Usage(5, 6, 4, "stop", 1, 0.125, 1.5)


async def test_an_edit_in_place_says_so_and_drops_the_tokens(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked,) = await add_chat(scope, "question")
        answer = message(made.id, asked.id, role="assistant", parts=(TextPart("wrong", (1, 2), "v"),), usage=USAGE)
        await messages.add(scope, answer)
        same = await branches.edit(scope, answer.id, "wrong", known=None)
        assert same.parts == answer.parts
        assert same.edited_at is None
        edited = await branches.edit(scope, answer.id, "right", known=None)
        stored = await messages.get(scope, answer.id)
        assert stored == edited
        assert stored.parts == (TextPart("right"),)
        assert stored.edited_at is not None
        assert stored.usage == USAGE
        again = await branches.edit(scope, answer.id, "righter", known=stored.edited_at)
        assert again.edited_at is not None
        assert again.edited_at > stored.edited_at  # though the clock stands


async def test_two_who_edit_one_message_do_not_overwrite_each_other(database: Database) -> None:
    async with database.write(OWNER) as scope:
        _, (asked,) = await add_chat(scope, "question")
        await branches.edit(scope, asked.id, "first", known=None)
        with pytest.raises(Conflict, match="another tab"):
            await branches.edit(scope, asked.id, "second", known=None)
        assert (await messages.get(scope, asked.id)).text == "first"
        await branches.edit(scope, asked.id, "second", known=None, overwrite=True)
        assert (await messages.get(scope, asked.id)).text == "second"


async def test_a_copy_is_another_version(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked, answer) = await add_chat(scope, "question", "answer")
        copy_id = new_id()
        chat, copied = await branches.copy(scope, answer.id, copy_id, "better")
        assert (copied.parent_id, copied.text, copied.role) == (asked.id, "better", answer.role)
        assert chat.leaf_id == copy_id
        assert copied.created_at > answer.created_at
        assert (await messages.get(scope, answer.id)).text == "answer"
        assert await branches.copy(scope, answer.id, copy_id, "better") == (chat, copied)
        with pytest.raises(Conflict, match="new id"):
            await branches.copy(scope, answer.id, copy_id, "other")
        assert len(await messages_of(scope, made.id)) == 3


@pytest.mark.parametrize("status", ["running", "waiting"])
async def test_what_is_being_written_or_waits_is_left_alone(database: Database, status: str) -> None:
    async with database.write(OWNER) as scope:
        made, (asked,) = await add_chat(scope, "question")
        answer = message(made.id, asked.id, role="assistant", status=status)
        await messages.add(scope, answer)
        with pytest.raises(Conflict, match=status):
            await branches.edit(scope, answer.id, "mine", known=None)
        with pytest.raises(Conflict, match=status):
            await branches.copy(scope, answer.id, new_id(), "mine")
        with pytest.raises(Conflict, match="still being written"):
            await branches.fork(scope, made.id, answer.id, new_id())


async def test_a_fork_has_the_branch_with_its_tokens_and_nothing_else(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked,) = await add_chat(scope, "question")
        await chats.update(scope, made.id, title="Numbers", titled_by="user", model="m", pinned_at=1)
        parts = (TextPart("one", (1, 2), "v"), TextPart("two", (), "v"))
        answer = message(made.id, asked.id, role="assistant", parts=parts, usage=USAGE, parameters={"seed": 1})
        await messages.add(scope, answer)
        await messages.add(scope, message(made.id, asked.id, "another version"))
        await messages.add(scope, message(made.id, answer.id, "later"))
        fork_id = new_id()
        forked = await branches.fork(scope, made.id, answer.id, fork_id)
        assert (forked.title, forked.titled_by, forked.model, forked.pinned_at) == ("Numbers", "user", "m", None)
        assert await chats.get(scope, fork_id) == forked
        first, second = await messages_of(scope, fork_id)
        assert (first.text, first.parent_id) == ("question", None)
        assert (second.text, second.parent_id, second.usage) == ("onetwo", first.id, USAGE)
        assert second.parameters == {"seed": 1}
        assert (await messages.get(scope, second.id)).parts == parts
        assert forked.leaf_id == second.id
        assert not {first.id, second.id} & {asked.id, answer.id}
        assert await branches.fork(scope, made.id, answer.id, fork_id) == forked
        assert len(await messages_of(scope, fork_id)) == 2
        with pytest.raises(Conflict, match="new id"):
            await branches.fork(scope, made.id, asked.id, made.id)
        with pytest.raises(NotFound):
            await branches.fork(scope, made.id, new_id(), new_id())


async def test_a_fork_that_is_given_a_title_is_the_only_one_of_it(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, (asked,) = await add_chat(scope, "one")
        again = new_id()
        titles = [
            (await branches.fork(scope, made.id, asked.id, fork_id, title)).title
            for fork_id, title in ((new_id(), "50% _"), (again, "50% _"), (again, "50% _"), (new_id(), "50% _"))
        ]
        assert titles == ["50% _", "50% _ (2)", "50% _ (2)", "50% _ (3)"]
        assert (await branches.fork(scope, made.id, asked.id, new_id(), "50")).title == "50"


async def test_a_long_branch_is_forked_by_a_few_statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "_BATCH", 16)
    async with database.write(OWNER) as scope:
        made, branch = await add_chat(scope, *(f"turn {n}" for n in range(40)))
        fork_id = new_id()
        with counted(database) as count:
            await branches.fork(scope, made.id, branch[-1].id, fork_id)
            statements = count.statements
        copied = await messages_of(scope, fork_id)
        assert [one.text for one in copied] == [one.text for one in branch]
        assert [one.parent_id for one in copied[1:]] == [one.id for one in copied[:-1]]
    assert statements < 20


async def test_what_a_fork_or_an_edit_says_is_found(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, branch = await add_chat(scope, "a heron", "a stork")
        fork_id = new_id()
        await branches.fork(scope, made.id, branch[-1].id, fork_id)
        copied = await messages_of(scope, fork_id)

        async def where(query: str) -> set[str]:
            return {each.message_id for each in await search.candidates(scope, parse(query), None, 10)}

        assert await where("heron") == {branch[0].id, copied[0].id}
        assert await where("stork") == {branch[1].id, copied[1].id}
        await branches.edit(scope, copied[1].id, "a crane", known=None)
        assert await where("stork") == {branch[1].id}
        assert await where("crane") == {copied[1].id}
        await branches.fork(scope, fork_id, copied[1].id, new_id())
        assert len(await where("crane")) == 2
