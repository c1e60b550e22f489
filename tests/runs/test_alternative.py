from __future__ import annotations

import asyncio

import pytest

from myna.chat import ReasoningPart, TextPart
from myna.errors import Conflict, InvalidParameter, NotFound
from myna.models.dialects.answer import AnswerSyntax
from myna.runs.alternative import Place
from myna.store import messages
from myna.store.database import Database
from tests.runs.conversation import OWNER, Talk, new_id, new_run
from tests.runs.scripted import TOKENIZER, tokens_of


async def test_another_version_keeps_what_is_before_and_goes_on_from_the_other_token(
    talk: Talk, database: Database
) -> None:
    created = await talk.exchange("name a bird", "a parrot")
    source = created.messages[1]
    run = new_run()
    place = Place(source.id, 2, ord("m"))
    varied = await talk.service.continue_from(OWNER, talk.chat_id, place, run)
    assert not (await talk.service.continue_from(OWNER, talk.chat_id, place, run)).is_new
    answer = varied.messages[0]
    assert (answer.parent_id, answer.text, answer.model) == (source.parent_id, "a m", source.model)
    assert varied.chat.leaf_id == answer.id
    reply = await talk.backend.reply(run.id)
    assert reply.request.begun == tokens_of("a m")
    assert [message.text for message in reply.request.messages or ()][-1] == "name a bird"
    reply.start()
    reply.say("yna")
    reply.finish()
    await talk.ended(run.id)
    async with database.read(OWNER) as scope:
        kept = await messages.get(scope, answer.id)
        assert (await messages.get(scope, source.id)).text == "a parrot"
    assert kept.parts == (TextPart("a myna", tokens_of("a myna"), TOKENIZER),)
    assert kept.status == "complete"
    with pytest.raises(Conflict, match="exists already"):
        await talk.service.continue_from(OWNER, talk.chat_id, Place(source.id, 3, 5), run)


async def test_a_thought_can_be_varied_too(talk: Talk, database: Database) -> None:
    created, reply = await talk.ask("think")
    reply.start(syntax=AnswerSyntax(thinks=True))
    for letter in "<think>so</think>\n\nYes":
        reply.say(letter)
    reply.finish()
    await talk.ended(created.run.id)
    async with database.read(OWNER) as scope:
        source = await messages.get(scope, created.messages[1].id)
    thought, said = source.parts
    assert (thought, said) == (
        ReasoningPart("so", tokens_of("<think>so</think>\n\n"), TOKENIZER),
        TextPart("Yes", tokens_of("Yes"), TOKENIZER),
    )
    assert source.usage is not None
    assert source.usage.reasoning_seconds is not None
    run = new_run()
    varied = await talk.service.continue_from(OWNER, talk.chat_id, Place(source.id, 8, ord("!")), run)
    assert varied.messages[0].parts == (ReasoningPart("s!", tokens_of("<think>s!"), TOKENIZER),)
    reply = await talk.backend.reply(run.id)
    reply.start(syntax=AnswerSyntax(thinks=True))
    for letter in " oh</think>No":
        reply.say(letter)
    reply.finish()
    await talk.ended(run.id)
    async with database.read(OWNER) as scope:
        kept = await messages.get(scope, varied.messages[0].id)
    assert [(part.type, part.text) for part in kept.parts] == [("reasoning", "s! oh"), ("text", "No")]
    later = await talk.service.continue_from(OWNER, talk.chat_id, Place(source.id, 20, ord("o")), new_run())
    assert later.messages[0].parts == (thought, TextPart("Yo", tokens_of("Yo"), TOKENIZER))


async def test_what_cannot_be_varied_is_named(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    created = await talk.exchange("name a bird", "a parrot")
    asked, source = created.messages
    continue_from = talk.service.continue_from
    with pytest.raises(InvalidParameter, match="has 8 tokens"):
        await continue_from(OWNER, talk.chat_id, Place(source.id, 8, 5), new_run())
    with pytest.raises(InvalidParameter, match="is no answer"):
        await continue_from(OWNER, talk.chat_id, Place(asked.id, 0, 5), new_run())
    for chat_id, message_id in ((talk.chat_id, new_id()), (new_id(), source.id)):
        with pytest.raises(NotFound):
            await continue_from(OWNER, chat_id, Place(message_id, 0, 5), new_run())
    with pytest.raises(NotFound):
        await continue_from("somebody", talk.chat_id, Place(source.id, 0, 5), new_run())

    async def nothing(token_ids: object) -> str:
        await asyncio.sleep(0)
        return ""

    monkeypatch.setattr(talk.backend, "detokenize", nothing)
    with pytest.raises(InvalidParameter, match="the mark"):
        await continue_from(OWNER, talk.chat_id, Place(source.id, 0, 5), new_run())
    open_, _ = await talk.ask("more", source.id)
    with pytest.raises(Conflict, match="still being written"):
        await continue_from(OWNER, talk.chat_id, Place(open_.messages[1].id, 0, 5), new_run())
