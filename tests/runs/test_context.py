"""A branch that outgrows the model's context: its oldest turns are left out, in large steps, and that is kept."""

from __future__ import annotations

import pytest

from myna.errors import PromptTooLong
from myna.runs import context as contexts
from myna.runs.context import beginning, cut, room
from myna.store import chats, messages
from myna.store.database import Database
from myna.store.steps import Step
from tests.runs.conversation import OWNER, Talk
from tests.store.rows import add_chat, message
from tests.store.statements import counted

CONTEXT = 4096


def step(name: str, tokens: int, role: str = "user") -> Step:
    return Step(name, None, role, tokens, None, None)


TURNS = [step("q3", 10), step("a2", 500, "assistant"), step("q2", 10), step("a1", 500, "assistant"), step("q1", 10)]


@pytest.mark.parametrize(
    ("steps", "room", "expected"),
    [
        (TURNS, 10_000, "q1"),
        (TURNS, 1000, "q2"),
        (TURNS, 100, "q3"),
        (TURNS, 1, "q3"),
        (TURNS[1:], 1, "q2"),
        ([step("a", 5, "assistant")], 100, None),
    ],
)
def test_what_is_left_begins_with_a_users_message(steps: list[Step], room: int, expected: str | None) -> None:
    assert cut(steps, room) == expected


def test_an_answer_has_room_but_a_quarter_of_the_context_at_most() -> None:
    assert room(8192, 100) == 8092
    assert room(8192, 100_000) == room(8192, None) == 6144


async def grown(database: Database, turns: int, length: int) -> tuple[str, list[str]]:
    """A chat of so many messages, a user's and an answer in turn; its id and theirs."""
    async with database.write(OWNER) as scope:
        made, _ = await add_chat(scope)
        ids: list[str] = []
        for number in range(turns):
            role = "assistant" if number % 2 else "user"
            new = message(made.id, ids[-1] if ids else None, f"{number} ".ljust(length, "x"), role=role)
            await messages.add(scope, new)
            ids.append(new.id)
        await chats.update(scope, made.id, leaf_id=ids[-1])
    return made.id, ids


async def test_the_oldest_turns_are_left_out_in_large_steps(talk: Talk, database: Database) -> None:
    talk.chat_id, ids = await grown(database, 40, 3 * 200)
    begins = []
    parent = ids[-1]
    for number in range(8):
        text = f"new {number} ".ljust(600, "y")
        created, reply = await talk.ask(text, parent)
        turns = [turn for turn in reply.request.messages or () if turn.role != "system"]
        assert turns[0].role == "user"
        assert turns[-1].text == text
        assert sum(len(turn.text) for turn in turns) < 3 * CONTEXT
        begins.append(turns[0].text)
        reply.start()
        reply.say("z")
        reply.finish()
        await talk.ended(created.run.id)
        parent = created.run.message_id
    (answer,), _ = await talk.service.contents(OWNER, talk.chat_id, [parent])
    assert answer.usage is not None
    assert answer.usage.context_from is not None
    assert answer.usage.context_tokens == CONTEXT
    assert begins[0] != "0 ".ljust(600, "x")
    assert 1 <= len(set(begins)) < 4, "not another beginning with every turn"


async def test_a_prompt_that_has_more_tokens_than_was_thought_is_shortened(talk: Talk, database: Database) -> None:
    talk.chat_id, ids = await grown(database, 20, 300)
    created, reply = await talk.ask("and now?", ids[-1])
    whole = len(reply.request.messages or ())
    del talk.backend.replies[created.run.id]
    talk.backend._asked[created.run.id].clear()
    reply.fail(PromptTooLong(2 * CONTEXT, CONTEXT))
    shorter = await talk.backend.reply(created.run.id)
    assert 1 < len(shorter.request.messages or ()) < whole
    shorter.start()
    shorter.say("yes")
    shorter.finish()
    await talk.ended(created.run.id)
    assert await talk.text_of(created.run.message_id) == "yes"


async def test_a_branch_that_fits_is_given_whole_also_after_a_smaller_model(database: Database) -> None:
    chat_id, ids = await grown(database, 6, 30)
    async with database.read(OWNER) as scope:
        for context, since in ((CONTEXT, None), (100, ids[4])):
            found = await beginning(
                scope, chat_id, ids[-1], room=room(context, None), context=context, tokenizer="scripted-1"
            )
            assert found == since


async def test_what_an_answer_costs_does_not_grow_with_its_branch(database: Database) -> None:
    counts = []
    for turns in (60, 600):
        chat_id, ids = await grown(database, turns, 600)
        async with database.read(OWNER) as scope:
            with counted(database) as count:
                since = await beginning(scope, chat_id, ids[-1], room=3000, context=CONTEXT, tokenizer="scripted-1")
                read = await messages.context(scope, chat_id, ids[-1], since)
        counts.append((count.statements, len(read)))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("length", "most"), [(3000, 3), (60, 80)])
async def test_no_more_of_a_branch_is_looked_at_than_may_fit(
    database: Database, monkeypatch: pytest.MonkeyPatch, length: int, most: int
) -> None:
    looked_at = 0

    async def climb(*args: object) -> list[Step]:
        nonlocal looked_at
        steps = await steps_of(*args)  # type: ignore[arg-type]
        looked_at += len(steps)
        return steps

    steps_of = contexts.climb
    monkeypatch.setattr(contexts, "climb", climb)
    chat_id, ids = await grown(database, 400, length)
    async with database.read(OWNER) as scope:
        assert await beginning(scope, chat_id, ids[-1], room=2000, context=CONTEXT, tokenizer="another")
    assert looked_at <= most, "the sizes of texts cost as much as reading them, where SQLite is old"
