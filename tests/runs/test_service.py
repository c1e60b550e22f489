from __future__ import annotations

import asyncio
import dataclasses
from itertools import pairwise
from typing import Any

import pytest

from myna.chat import TextPart
from myna.errors import Conflict, EngineCrashed, InvalidParameter, NotFound, PromptTooLong, StoreUnavailable
from myna.hub import recommended_sampling
from myna.runs import answer as run_answer
from myna.runs import service as run_service
from myna.runs import writer as run_writer
from myna.runs.answer import MAX_TOKENS, complete
from myna.runs.service import NewMessage, RunService
from myna.runs.titles import beginning
from myna.store import chats, messages
from myna.store.database import Database
from myna.store.records import EndEvent
from tests.runs.conversation import OWNER, Listener, Talk, new_id, new_run
from tests.runs.scripted import TOKENIZER, ScriptedBackend, ScriptedModels, tokens_of
from tests.store.statements import counted


async def test_an_answer_is_stored_with_its_usage_and_tokens(talk: Talk, database: Database) -> None:
    created = await talk.exchange("What is the capital of France?", "Paris.")
    opened = await talk.service.open_chat(OWNER, talk.chat_id)
    asked, answer = opened.messages
    assert (asked.role, asked.text, asked.status) == ("user", "What is the capital of France?", "complete")
    assert (answer.role, answer.text, answer.status) == ("assistant", "Paris.", "complete")
    assert answer.parent_id == asked.id
    assert opened.chat.leaf_id == answer.id
    assert opened.chat.title == "What is the capital of France?"
    assert opened.runs == []
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.seed) == (7, 6, 11)
    assert answer.usage.finish_reason == "stop"
    async with database.read(OWNER) as scope:
        assert (await messages.get(scope, answer.id)).parts == (TextPart("Paris.", tokens_of("Paris."), TOKENIZER),)
    run = await talk.service.stop(OWNER, created.run.id)  # over: stop changes nothing
    assert (run.status, run.last_event) == ("complete", 3)


async def test_an_answer_says_what_it_was_asked_for_with(talk: Talk) -> None:
    created = await talk.service.send(
        OWNER, talk.chat_id, NewMessage(new_id(), None, "hi"), new_run(temperature=0.1, seed=7, dialect="alpaca")
    )
    recommended = recommended_sampling("scripted")
    assert created.messages[1].parameters == {
        "temperature": 0.1,
        "top_p": recommended.top_p,
        "max_tokens": MAX_TOKENS,
        "seed": 7,
        "dialect": "alpaca",
    }
    assert created.messages[0].parameters is None
    await talk.service.stop(OWNER, created.run.id)
    opened = await talk.service.open_chat(OWNER, talk.chat_id)
    assert opened.messages[1].parameters == created.messages[1].parameters
    carried = await talk.service.carry_on(OWNER, talk.chat_id, created.messages[1].id, new_id(), {"temperature": 1.0})
    assert carried.messages[0].parameters == {**complete("scripted", {}), "temperature": 1.0}


async def test_the_next_turn_feeds_the_branch_and_its_tokens_back(talk: Talk) -> None:
    first = await talk.exchange("one", "uno")
    other = await talk.exchange("another branch", "otro")
    assert other.messages[0].parent_id is None
    _, reply = await talk.ask("two", first.messages[1].id)
    context = reply.request.messages
    assert context is not None
    assert [(turn.role, turn.text) for turn in context] == [("user", "one"), ("assistant", "uno"), ("user", "two")]
    assert context[1].parts == (TextPart("uno", tokens_of("uno"), TOKENIZER),)
    assert not reply.request.continue_last
    assert reply.request.owner == OWNER


async def test_sending_twice_does_nothing_twice(talk: Talk) -> None:
    message, run = NewMessage(new_id(), None, "hello"), new_run()
    results = await asyncio.gather(*(talk.service.send(OWNER, talk.chat_id, message, run) for _ in range(5)))
    assert sorted(result.is_new for result in results) == [False] * 4 + [True]
    assert len({result.messages for result in results}) == 1
    opened = await talk.service.open_chat(OWNER, talk.chat_id)
    assert len(opened.messages) == 2
    reply = await talk.backend.reply(run.id)
    reply.start()
    reply.finish()
    await talk.ended(run.id)
    again = await talk.service.send(OWNER, talk.chat_id, message, run)
    assert not again.is_new
    assert again.run.status == "complete"
    with pytest.raises(Conflict):
        await talk.service.send(OWNER, talk.chat_id, dataclasses.replace(message, text="other"), run)
    with pytest.raises(Conflict):
        await talk.service.send(OWNER, talk.chat_id, message, dataclasses.replace(run, id=new_id()))
    with pytest.raises(Conflict):
        await talk.service.send(OWNER, talk.chat_id, message, dataclasses.replace(run, parameters={"seed": 1}))


async def test_what_was_stored_though_nobody_heard_of_it_is_answered_when_sent_again(
    talk: Talk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, run = NewMessage(new_id(), None, "Hello?"), new_run()

    async def committed_unheard(begun: Any, transaction: Any) -> None:
        await begun.commit()
        raise StoreUnavailable("The connection was lost.")

    with monkeypatch.context() as lost:
        lost.setattr(database, "_commit", committed_unheard)
        with pytest.raises(StoreUnavailable):
            await talk.service.send(OWNER, talk.chat_id, message, run)
    again = await talk.service.send(OWNER, talk.chat_id, message, run)
    assert not again.is_new
    reply = await talk.backend.reply(run.id)
    reply.start()
    reply.say("Hi.")
    reply.finish()
    await talk.ended(run.id)
    assert await talk.text_of(run.message_id) == "Hi."


async def test_events_that_were_stored_though_nobody_heard_of_it_are_stored_again(
    talk: Talk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    created, reply = await talk.ask("Hello?")
    commit, lost = database._commit, 0

    async def sometimes_unheard(begun: Any, transaction: Any) -> None:
        nonlocal lost
        if lost == 3:
            return await commit(begun, transaction)
        await begun.commit()
        lost += 1
        raise StoreUnavailable("The connection was lost.")

    monkeypatch.setattr(database, "_commit", sometimes_unheard)
    monkeypatch.setattr(run_writer, "RETRY_SECONDS", 0.01)
    reply.start()
    reply.say("Good ")
    reply.say("morning.")
    reply.finish()
    await talk.ended(created.run.id)
    assert lost == 3
    assert await talk.text_of(created.messages[1].id) == "Good morning."


async def test_an_answer_waits_for_a_database_that_is_away_when_it_begins(
    talk: Talk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, refused = database.read, 0

    def away(owner: str) -> Any:
        nonlocal refused
        if refused == 2:
            return read(owner)
        refused += 1
        raise StoreUnavailable("The server ends.")

    monkeypatch.setattr(run_answer, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(database, "read", away)
    created, reply = await talk.ask("Hello?")
    reply.start()
    reply.say("Hi.")
    reply.finish()
    await talk.ended(created.run.id)
    assert refused == 2
    assert await talk.text_of(created.messages[1].id) == "Hi."


async def test_an_answer_can_be_given_once_more(talk: Talk) -> None:
    first = await talk.exchange("one", "uno")
    again = await talk.service.answer_again(OWNER, talk.chat_id, first.messages[0].id, new_run())
    assert again.messages[0].parent_id == first.messages[0].id
    assert again.chat.leaf_id == again.messages[0].id
    reply = await talk.backend.reply(again.run.id)
    context = reply.request.messages
    assert context is not None
    assert [turn.text for turn in context] == ["one"]
    with pytest.raises(InvalidParameter, match="is an answer"):
        await talk.service.answer_again(OWNER, talk.chat_id, first.messages[1].id, new_run())


async def test_nothing_can_be_hung_below_what_is_not_there(talk: Talk) -> None:
    created, _ = await talk.ask("one")
    with pytest.raises(NotFound):
        await talk.ask("two", new_id())
    elsewhere = Talk(talk.service, talk.backend)
    with pytest.raises(NotFound):
        await elsewhere.ask("two", created.messages[0].id)
    with pytest.raises(NotFound):  # and the chat was not made either
        await talk.service.open_chat(OWNER, elsewhere.chat_id)


async def test_stop_keeps_the_text(talk: Talk) -> None:
    created, reply = await talk.ask("count")
    reply.start()
    reply.say("one, two")
    listener = Listener(talk.service.follower(OWNER))
    await listener.follower.follow(created.run.id, 0)
    await listener.until_text(created.run.id, "one, two")
    run = await talk.service.stop(OWNER, created.run.id)
    assert run.status == "stopped"
    frames = await listener.until_end(created.run.id)
    end = frames[-1].event  # type: ignore[union-attr]
    assert isinstance(end, EndEvent)
    assert end.status == "stopped"
    opened = await talk.service.open_chat(OWNER, talk.chat_id)
    assert (opened.messages[1].text, opened.messages[1].status) == ("one, two", "stopped")


async def test_stop_while_the_model_loads(talk: Talk, models: ScriptedModels) -> None:
    models.gate.clear()
    created = await talk.service.send(OWNER, talk.chat_id, NewMessage(new_id(), None, "hi"), new_run())
    assert created.run.status == "queued"
    assert (await talk.service.stop(OWNER, created.run.id)).status == "stopped"


async def test_a_stopped_answer_is_carried_on_in_place(talk: Talk, database: Database) -> None:
    created, reply = await talk.ask("count")
    answer_id = created.messages[1].id
    reply.start()
    reply.say("one, ")
    listener = Listener(talk.service.follower(OWNER))
    await listener.follower.follow(created.run.id, 0)
    await listener.until_text(created.run.id, "one, ")
    await talk.service.stop(OWNER, created.run.id)

    run_id, again = new_id(), {"dialect": "alpaca", "adapter": "pirate"}
    carried = await talk.service.carry_on(OWNER, talk.chat_id, answer_id, run_id, again)
    assert carried.messages[0].text == "one, "
    assert not (await talk.service.carry_on(OWNER, talk.chat_id, answer_id, run_id, again)).is_new
    with pytest.raises(Conflict):
        await talk.service.carry_on(OWNER, talk.chat_id, answer_id, run_id)
    reply = await talk.backend.reply(run_id)
    assert (reply.request.dialect, reply.request.adapter) == ("alpaca", "pirate")
    assert not reply.request.continue_last
    assert reply.request.begun == tokens_of("one, ")
    assert [message.text for message in reply.request.messages or ()][-1] == "count"
    reply.start()
    reply.say("two")
    reply.finish()
    await talk.ended(run_id)
    async with database.read(OWNER) as scope:
        answer = await messages.get(scope, answer_id)
    assert answer.parts == (TextPart("one, two", tokens_of("one, two"), TOKENIZER),)
    assert answer.status == "complete"
    with pytest.raises(Conflict, match="complete"):
        await talk.service.carry_on(OWNER, talk.chat_id, answer_id, new_id())


async def test_an_answer_cut_off_by_its_length_is_carried_on(talk: Talk, database: Database) -> None:
    created, reply = await talk.ask("count")
    reply.start()
    reply.say("one, ")
    reply.finish("length")
    await talk.ended(created.run.id)
    async with database.write(OWNER) as scope:
        await chats.update(scope, talk.chat_id, archived_at=1)
    carried = await talk.service.carry_on(OWNER, talk.chat_id, created.messages[1].id, new_id())
    assert carried.messages[0].text == "one, "
    assert carried.chat.archived_at is None  # a chat that one goes on with is out of the archive


async def test_what_is_recommended_for_a_model_counts_where_the_request_does_not_say(talk: Talk) -> None:
    new = new_run("smollm2:135m", top_p=0.5, seed=9)
    await talk.service.send(OWNER, talk.chat_id, NewMessage(new_id(), None, "hi"), new)
    request = (await talk.backend.reply(new.id)).request
    params = request.params
    recommended = recommended_sampling("smollm2:135m")
    assert request.messages is not None
    assert [(turn.role, turn.text) for turn in request.messages] == [
        ("system", recommended.system_prompt),
        ("user", "hi"),
    ]
    assert (params.temperature, params.top_p, params.seed) == (recommended.temperature, 0.5, 9)
    assert params.max_tokens == MAX_TOKENS


async def test_carrying_on_with_another_vocabulary_keeps_both_texts(talk: Talk, database: Database) -> None:
    created, reply = await talk.ask("count")
    reply.start()
    reply.say("one, ")
    reply.fail(EngineCrashed("The engine ended."))
    await talk.ended(created.run.id)
    talk.backend.tokenizer = "scripted-2"
    run_id = new_id()
    await talk.service.carry_on(OWNER, talk.chat_id, created.messages[1].id, run_id)
    reply = await talk.backend.reply(run_id)
    reply.start()
    reply.say("two")
    reply.finish()
    await talk.ended(run_id)
    async with database.read(OWNER) as scope:
        answer = await messages.get(scope, created.messages[1].id)
    assert [part.tokenizer for part in answer.parts] == ["scripted-1", "scripted-2"]
    assert answer.text == "one, two"


async def test_a_crashed_engine_costs_the_answer_nothing_it_had(talk: Talk) -> None:
    created, reply = await talk.ask("count")
    reply.start()
    reply.say("one, two")
    reply.fail(EngineCrashed("The engine process ended; continue the answer."))
    await talk.ended(created.run.id)
    answer = (await talk.service.open_chat(OWNER, talk.chat_id)).messages[1]
    assert (answer.text, answer.status) == ("one, two", "failed")
    assert answer.error is not None
    assert (answer.error.code, answer.error.message) == (
        "engine_crashed",
        "The engine process ended; continue the answer.",
    )


async def test_what_the_model_refuses_is_said(talk: Talk, models: ScriptedModels) -> None:
    created, reply = await talk.ask("long")
    reply.fail(PromptTooLong(9000, 8192))
    await talk.ended(created.run.id)
    answer = (await talk.service.open_chat(OWNER, talk.chat_id)).messages[1]
    assert answer.error is not None
    assert "9000 tokens" in answer.error.message
    models.error = NotFound("Model scripted is not on disk; download it first.")
    created = await talk.service.answer_again(OWNER, talk.chat_id, created.messages[0].id, new_run())
    await talk.ended(created.run.id)
    answer = (await talk.service.open_chat(OWNER, talk.chat_id)).messages[-1]
    assert answer.error is not None
    assert (answer.status, answer.error.code) == ("failed", "not_found")


async def test_deleting_a_chat_stops_its_runs(talk: Talk) -> None:
    created, reply = await talk.ask("count")
    reply.start()
    reply.say("one")
    listener = Listener(talk.service.follower(OWNER))
    await listener.follower.follow(created.run.id, 0)
    await listener.until_text(created.run.id, "one")
    reply.say("two")
    await talk.service.delete_chat(OWNER, talk.chat_id)
    await reply.closed.wait()
    frames = await listener.until_end(created.run.id)
    assert frames[-1].event == EndEvent("stopped", None, None)  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        await talk.service.open_chat(OWNER, talk.chat_id)
    assert talk.service.live(OWNER, created.run.id) is None


async def test_shutting_down_marks_open_answers_interrupted(
    database: Database, models: ScriptedModels, backend: ScriptedBackend
) -> None:
    service = RunService(database, models)
    await service.start()
    talk = Talk(service, backend)
    created, reply = await talk.ask("count")
    reply.start()
    reply.say("one")
    listener = Listener(service.follower(OWNER))
    await listener.follower.follow(created.run.id, 0)
    await listener.until_text(created.run.id, "one")
    await service.close()
    opened = await service.open_chat(OWNER, talk.chat_id)
    assert (opened.messages[1].text, opened.messages[1].status) == ("one", "interrupted")
    assert opened.runs == []


async def test_an_open_answer_reads_up_to_its_last_event(talk: Talk) -> None:
    created, reply = await talk.ask("count")
    reply.start()
    reply.say("one, ")
    listener = Listener(talk.service.follower(OWNER))
    await listener.follower.follow(created.run.id, 0)
    await listener.until_text(created.run.id, "one, ")
    opened = await talk.service.open_chat(OWNER, talk.chat_id)
    assert opened.messages[1].text == "one, "
    reply.say("two")
    reply.finish()
    late = Listener(talk.service.follower(OWNER))
    await late.follower.follow(created.run.id, opened.runs[0].last_event)
    await late.until_end(created.run.id)
    assert opened.messages[1].text + late.text(created.run.id) == "one, two"


async def test_time_goes_on_along_a_branch_whatever_the_clock_says(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000, 0, -1_000))
    monkeypatch.setattr(run_service, "now", lambda: next(clock))
    leaf = None
    for text in ("one", "two", "three"):
        leaf = (await talk.exchange(text, "yes", leaf)).messages[1].id
    shown = (await talk.service.open_chat(OWNER, talk.chat_id)).messages
    assert [message.text for message in shown] == ["one", "yes", "two", "yes", "three", "yes"]
    assert all(above.created_at < below.created_at for above, below in pairwise(shown))


async def test_a_turn_costs_the_same_in_a_long_chat_and_a_short_one(talk: Talk, database: Database) -> None:
    async def turn(parent_id: str | None) -> tuple[str, int]:
        with counted(database) as count:
            message, run = NewMessage(new_id(), parent_id, "more"), new_run()
            created = await talk.service.send(OWNER, talk.chat_id, message, run)
            reply = await talk.backend.reply(run.id)
            sent = count.statements  # of storing it, and of reading what is told to the model
        reply.start()
        reply.say("yes")
        reply.finish()
        await talk.ended(run.id)
        # What the end of the run still reads and writes is none of the next turn's.
        await asyncio.gather(*talk.service.queue._tasks)
        await database.settled()
        return created.messages[1].id, sent

    leaf, _ = await turn(None)
    leaf, early = await turn(leaf)
    for _ in range(40):
        leaf, late = await turn(leaf)
    assert early == late


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  Hello\n there ", "Hello there"),
        ("word " * 30, ("word " * 12).strip() + "…"),
        ("x" * 100, "x" * 60 + "…"),
        ("a" * 60, "a" * 60),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert beginning(text) == title
