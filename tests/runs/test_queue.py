from __future__ import annotations

import pytest

from myna.errors import Conflict, EngineBusy, InvalidParameter, NotFound, QuotaExhausted
from myna.runs import queue
from myna.runs.service import Created, NewMessage, RunService
from myna.store.database import Database
from myna.store.records import Message
from tests.runs.conversation import OWNER, Listener, Talk, new_id, new_run
from tests.runs.scripted import Reply, ScriptedBackend, ScriptedModels


async def texts(talk: Talk) -> list[tuple[str, str]]:
    """What the chat says and how each message stands, oldest first."""
    opened = await talk.service.open_chat(talk.owner, talk.chat_id)
    return [(message.text, message.status) for message in opened.messages]


def answered(reply: Reply, text: str) -> None:
    reply.start()
    reply.say(text)
    reply.finish()


async def sent_below(talk: Talk, answer: Message, text: str) -> Created:
    return await talk.service.send(
        talk.owner, talk.chat_id, NewMessage(new_id(), answer.id, text), new_run(temperature=0.25)
    )


async def test_what_is_sent_below_a_running_answer_follows_it(talk: Talk) -> None:
    first, reply = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    third = await sent_below(talk, second.messages[1], "three")
    assert [second.run.status, third.run.status] == ["waiting", "waiting"]
    assert third.chat.leaf_id == third.messages[1].id
    assert await texts(talk) == [
        *[("one", "complete"), ("", "running")],
        *[("two", "waiting"), ("", "waiting")],
        *[("three", "waiting"), ("", "waiting")],
    ]
    assert list(talk.backend.replies) == [first.run.id]
    answered(reply, "uno")
    reply = await talk.backend.reply(second.run.id)
    assert reply.request.messages is not None
    assert [turn.text for turn in reply.request.messages] == ["one", "uno", "two"]
    assert reply.request.params.temperature == 0.25
    assert third.run.id not in talk.backend.replies
    answered(reply, "dos")
    answered(await talk.backend.reply(third.run.id), "tres")
    await talk.ended(third.run.id)
    assert [text for text, _ in await texts(talk)] == ["one", "uno", "two", "dos", "three", "tres"]


async def test_a_tab_hears_that_its_message_is_sent_on(talk: Talk) -> None:
    first, reply = await talk.ask("one")
    listener = Listener(talk.service.follower(OWNER))
    second = await sent_below(talk, first.messages[1], "two")
    listener.follower.follow_lists(0)
    await listener.drain()
    answered(reply, "uno")
    answered(await talk.backend.reply(second.run.id), "dos")
    await listener.follower.follow(second.run.id, 0)
    await listener.until_end(second.run.id)
    assert listener.text(second.run.id) == "dos"


@pytest.mark.parametrize("end", ["stopped", "failed"])
async def test_after_an_answer_that_ended_early_it_waits_for_its_user(talk: Talk, end: str) -> None:
    first, reply = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    with pytest.raises(Conflict, match="still running"):
        await talk.service.queue.send_on(OWNER, second.run.id)
    if end == "stopped":
        await talk.service.stop(OWNER, first.run.id)
    else:
        reply.fail(EngineBusy("no room"))
        await talk.ended(first.run.id)
    assert (await texts(talk))[1:3] == [("", end), ("two", "waiting")]
    run = await talk.service.queue.send_on(OWNER, second.run.id)
    assert run.status == "queued"
    answered(await talk.backend.reply(second.run.id), "dos")
    await talk.ended(second.run.id)
    assert (await talk.service.queue.send_on(OWNER, second.run.id)).status == "complete"  # twice does nothing twice
    assert (await texts(talk))[2:] == [("two", "complete"), ("dos", "complete")]


async def test_an_answer_that_is_carried_on_is_followed_by_what_waits(talk: Talk) -> None:
    first, _ = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    await talk.service.stop(OWNER, first.run.id)
    carried = await talk.service.carry_on(OWNER, talk.chat_id, first.messages[1].id, new_id())
    answered(await talk.backend.reply(carried.run.id), "uno")
    answered(await talk.backend.reply(second.run.id), "dos")


async def test_a_waiting_message_is_changed_or_taken_back(talk: Talk) -> None:
    first, reply = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    third = await sent_below(talk, second.messages[1], "three")
    changed = await talk.service.queue.rewrite(OWNER, third.run.id, "drei")
    assert (changed.text, changed.edited_at) == ("drei", None)
    await talk.service.queue.withdraw(OWNER, second.run.id)
    opened = await talk.service.open_chat(OWNER, talk.chat_id)
    assert [message.text for message in opened.messages] == ["one", "", "drei", ""]
    assert opened.messages[2].parent_id == first.messages[1].id
    answered(reply, "uno")
    reply = await talk.backend.reply(third.run.id)
    assert reply.request.messages is not None
    assert [turn.text for turn in reply.request.messages] == ["one", "uno", "drei"]
    for late in (
        talk.service.queue.rewrite(OWNER, third.run.id, "x"),
        talk.service.queue.withdraw(OWNER, third.run.id),
    ):
        with pytest.raises(Conflict, match="waits no longer"):
            await late
    with pytest.raises(NotFound):
        await talk.service.queue.withdraw("somebody else", third.run.id)


async def test_the_queue_survives_a_restart(
    database: Database, models: ScriptedModels, backend: ScriptedBackend
) -> None:
    service = RunService(database, models)
    await service.start()
    talk = Talk(service, backend)
    first, _ = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    await service.close()
    talk.service = RunService(database, models)
    await talk.service.start()
    assert await texts(talk) == [("one", "complete"), ("", "interrupted"), ("two", "waiting"), ("", "waiting")]
    await talk.service.queue.send_on(OWNER, second.run.id)
    answered(await backend.reply(second.run.id), "dos")
    await talk.ended(second.run.id)
    await talk.service.close()


async def test_the_queue_of_a_chat_is_bounded(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST", 2)
    first, _ = await talk.ask("one")
    answer = first.messages[1]
    for _ in range(2):
        answer = (await sent_below(talk, answer, "more")).messages[1]
    with pytest.raises(InvalidParameter, match="2 messages wait"):
        await sent_below(talk, answer, "too many")


async def test_deleting_a_chat_empties_its_queue(talk: Talk) -> None:
    first, _ = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    await talk.service.delete_chat(OWNER, talk.chat_id)
    with pytest.raises(NotFound):
        await talk.service.queue.send_on(OWNER, second.run.id)
    assert second.run.id not in talk.backend.replies


async def test_an_account_that_is_disabled_or_deleted_sends_nothing_on(talk: Talk) -> None:
    first, _ = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    talk.service.answers.interrupt(OWNER)
    await talk.ended(first.run.id)
    assert await texts(talk) == [("one", "complete"), ("", "interrupted"), ("two", "waiting"), ("", "waiting")]
    again = Talk(talk.service, talk.backend)
    third, _ = await again.ask("one")
    fourth = await sent_below(again, third.messages[1], "two")
    talk.service.answers.forget(OWNER)
    await again.ended(third.run.id)
    await talk.service.queue.close()
    assert not {second.run.id, fourth.run.id} & set(talk.backend.replies)


async def test_what_waits_stays_where_its_owner_has_used_up_what_he_may(
    database: Database, models: ScriptedModels, backend: ScriptedBackend
) -> None:
    used_up = False

    def admit(owner: str) -> None:
        if used_up:
            raise QuotaExhausted(f"{owner} has no tokens left.", unit="tokens", retry_after=60)

    service = RunService(database, models, admit=admit)
    await service.start()
    talk = Talk(service, backend)
    first, reply = await talk.ask("one")
    second = await sent_below(talk, first.messages[1], "two")
    third = await sent_below(talk, second.messages[1], "three")
    answered(reply, "uno")
    reply = await backend.reply(second.run.id)
    used_up = True
    answered(reply, "dos")
    await talk.ended(second.run.id)
    await service.close()
    assert (await texts(talk))[-2:] == [("three", "waiting"), ("", "waiting")]
    assert third.run.id not in backend.replies
