from __future__ import annotations

import asyncio

import pytest

from myna.errors import EngineBusy, Refused
from myna.runs.service import RunService
from myna.runs.titles import clean
from myna.store import chats
from myna.store.database import Database
from myna.store.records import Chat
from myna.store.scope import Scope
from tests.runs.conversation import OWNER, Talk
from tests.runs.scripted import Reply, ScriptedBackend, ScriptedModels

ASKED = "How do I center a div in CSS when its height is not known?"


@pytest.mark.parametrize(
    ("said", "asked", "title"),
    [
        (" Title: How to center a div in CSS\n\nTitle: How to", ASKED, "How to center a div in CSS"),
        ('"Centering a div in CSS."', ASKED, "Centering a div in CSS"),
        ("**titre : la photosynthèse**", "Pouvez-vous m'expliquer la photosynthèse ?", "La photosynthèse"),
        ("学习吉他", "如何学习弹吉他?", "学习吉他"),
        ("Title: How to make a cake with chocolate", ASKED, None),
        ("How to learn Python", "如何学习弹吉他?", None),
        ("如何做比萨饼", "如何学习弹吉他?", None),
        ("I'm here to help you center a div", ASKED, None),
        ('The answer to the question "Center a div"', ASKED, None),
        ("Center a div " * 6, ASKED, None),
        ("15000000000", "convert 5 miles to km", None),
        ("How to", "How?", None),
        ("\n\n", ASKED, None),
        ("", ASKED, None),
        ("Center a\x1b[31m div", ASKED, None),
    ],
)
def test_a_title_is_short_clean_and_about_what_was_asked(said: str, asked: str, title: str | None) -> None:
    assert clean(said, asked) == title


@pytest.fixture
async def talk(database: Database, models: ScriptedModels, backend: ScriptedBackend):
    service = RunService(database, models, titles=lambda: True)
    await service.start()
    yield Talk(service, backend)
    await service.close()


async def title_request(talk: Talk, run_id: str) -> Reply:
    return await talk.backend.reply(f"title-{run_id}")


async def settled(talk: Talk) -> None:
    """Until no title is being written."""
    while tasks := list(talk.service.titles._tasks):
        await asyncio.gather(*tasks)


async def chat_of(talk: Talk, database: Database) -> Chat:
    async with database.read(OWNER) as scope:
        return await chats.get(scope, talk.chat_id)


def say(reply: Reply, text: str) -> None:
    reply.start()
    reply.say(text)
    reply.finish()


async def test_the_first_answer_is_followed_by_a_title(talk: Talk, database: Database) -> None:
    created = await talk.exchange(ASKED, "With flexbox.")
    before = await chat_of(talk, database)
    assert (before.title, before.titled_by) == (ASKED, "text")
    reply = await title_request(talk, created.run.id)
    assert reply.request.background
    assert reply.request.owner == OWNER
    assert reply.request.params.max_tokens < 50
    say(reply, " Centering a div in CSS\n\n")
    await settled(talk)
    after = await chat_of(talk, database)
    assert (after.title, after.titled_by) == ("Centering a div in CSS", "model")
    assert after.updated_at == before.updated_at
    second = await talk.exchange("And in a table?", "Like this.", created.messages[1].id)
    await settled(talk)
    assert f"title-{second.run.id}" not in talk.backend.replies


async def test_a_users_title_stays(talk: Talk, database: Database) -> None:
    created = await talk.exchange(ASKED, "With flexbox.")
    reply = await title_request(talk, created.run.id)
    async with database.write(OWNER) as scope:
        await chats.update(scope, talk.chat_id, title="Mine", titled_by="user")
    say(reply, "Center a div")
    await settled(talk)
    assert (await chat_of(talk, database)).title == "Mine"


async def test_a_title_that_fails_or_is_poor_changes_nothing(talk: Talk, database: Database) -> None:
    for number, spoil in enumerate(("fails", "poor", "cut", "deleted")):
        one = Talk(talk.service, talk.backend)
        created = await one.exchange(f"{ASKED} {number}", "With flexbox.")
        reply = await title_request(one, created.run.id)
        reply.start()
        if spoil == "fails":
            reply.fail(EngineBusy("no room"))
        elif spoil == "deleted":
            await one.service.delete_chat(OWNER, one.chat_id)
            reply.say("Center a div")
            reply.finish()
            await settled(one)
            continue
        else:
            reply.say("How to bake bread" if spoil == "poor" else "Center a div in")
            reply.finish("length" if spoil == "cut" else "stop")
        await settled(one)
        chat = await chat_of(one, database)
        assert (chat.titled_by, chat.version) == ("text", 1), spoil


async def test_what_a_title_costs_is_counted(
    database: Database, models: ScriptedModels, backend: ScriptedBackend
) -> None:
    spent: list[tuple[int, int]] = []
    service = RunService(
        database, models, lambda owner, model, prompt, said: spent.append((prompt, said)), titles=lambda: True
    )
    await service.start()
    talk = Talk(service, backend)
    created = await talk.exchange(ASKED, "With flexbox.")
    spent.clear()
    say(await title_request(talk, created.run.id), "Center a div")
    await settled(talk)
    assert spent == [(7, 0), (0, len("Center a div"))]
    await service.close()


async def test_no_title_is_written_where_nobody_wants_it_or_the_answer_was_stopped(
    service: RunService, talk: Talk, backend: ScriptedBackend
) -> None:
    created = await Talk(service, backend).exchange(ASKED, "With flexbox.")  # a service without titles
    stopped, _ = await talk.ask(ASKED)
    await talk.service.stop(OWNER, stopped.run.id)
    await settled(talk)
    assert not {f"title-{created.run.id}", f"title-{stopped.run.id}"} & set(backend.replies)


async def test_nothing_is_remembered_of_chats_that_were_refused(
    database: Database, models: ScriptedModels, backend: ScriptedBackend
) -> None:
    async def refuse(scope: Scope, model: str) -> None:
        raise Refused("no")

    service = RunService(database, models, titles=lambda: True, permit=refuse)
    with pytest.raises(Refused):
        await Talk(service, backend).ask(ASKED)
    assert not service.titles._expected
