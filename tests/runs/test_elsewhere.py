"""Two processes that share a PostgreSQL database: what one writes, the other follows, stops, deletes and mourns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from myna.errors import NotFound
from myna.runs.followers import ChangeFrame
from myna.runs.service import RunService
from myna.store import changes, peers
from myna.store.database import Database
from myna.store.records import StartedEvent
from tests.patience import WAIT_SECONDS
from tests.postgres import PostgreSQL
from tests.runs.conversation import OWNER, Listener, Talk
from tests.runs.scripted import ScriptedBackend, ScriptedModels


@dataclass
class Process:
    """What one process has."""

    database: Database
    service: RunService
    backend: ScriptedBackend

    @staticmethod
    async def begin(data_dir: Path, url: str) -> Process:
        backend = ScriptedBackend()
        database = await Database.open(data_dir, url)
        service = RunService(database, ScriptedModels(backend))  # type: ignore[arg-type]
        await service.start()
        return Process(database, service, backend)

    async def end(self) -> None:
        await self.service.close()
        await self.database.close()

    async def die(self) -> None:
        """As when it is killed: its connections are gone, and nothing more is written."""
        assert self.database.peers is not None
        assert self.service.writer._task is not None
        self.service.writer._task.cancel()
        await self.database.peers.leave()
        for answer in self.service.answers:
            answer.log.discard()
            await answer.interrupt()
        await self.database.close()


@pytest.fixture
async def both(
    tmp_path: Path, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Process, Process]]:
    monkeypatch.setattr(peers, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(peers, "GONE_SECONDS", WAIT_SECONDS)  # nobody dies here, however long a moment takes
    url = postgresql.create()
    first = await Process.begin(tmp_path, url)
    second = await Process.begin(tmp_path, url)
    yield first, second
    await second.end()
    await first.end()


Both = tuple[Process, Process]


async def test_a_run_is_followed_in_another_process(both: Both) -> None:
    here, there = both
    async with there.database.read(OWNER) as scope:
        cursor = await changes.latest(scope)
    listener = Listener(there.service.follower(OWNER))
    listener.follower.follow_lists(cursor)
    talk = Talk(here.service, here.backend)
    created, reply = await talk.ask("Hello?")
    run_id = created.run.id
    while not any(isinstance(frame, ChangeFrame) and frame.id == run_id for frame in listener.frames):
        await listener.more()

    await listener.follower.follow(run_id, 0)
    reply.start(seed=5)
    reply.say("Good ")
    await listener.until_text(run_id, "Good ")
    assert listener.events(run_id)[0].event == StartedEvent(7, 3, 5, "scripted-1")
    opened = await there.service.open_chat(OWNER, talk.chat_id)
    assert (opened.messages[-1].text, opened.runs[0].last_event) == ("Good ", 2)
    reply.say("morning")
    reply.finish()
    await listener.until_end(run_id)
    assert listener.text(run_id) == "Good morning"
    assert (await there.service.open_chat(OWNER, talk.chat_id)).runs == []


async def test_it_is_stopped_and_carried_on_in_another_process(both: Both) -> None:
    here, there = both
    talk = Talk(here.service, here.backend)
    created, reply = await talk.ask("Count.")
    reply.start()
    reply.say("one ")
    assert (await there.service.stop(OWNER, created.run.id)).status == "stopped"
    answer = created.messages[1].id
    later = Talk(there.service, there.backend, chat_id=talk.chat_id)
    carried = await there.service.carry_on(OWNER, talk.chat_id, answer, "0" * 36)
    reply = await there.backend.reply(carried.run.id)
    reply.start()
    reply.say("two")
    reply.finish()
    await later.ended(carried.run.id)
    assert await talk.text_of(answer) == "one two"


async def test_a_chat_that_is_deleted_elsewhere_stops_its_run_and_no_other(both: Both) -> None:
    here, there = both
    doomed, other = Talk(here.service, here.backend), Talk(here.service, here.backend)
    created, reply = await doomed.ask("Never mind.")
    kept, said = await other.ask("Go on.")
    reply.start()
    await there.service.delete_chat(OWNER, doomed.chat_id)
    reply.say("to nobody")
    said.start()
    said.say("yes")
    said.finish()
    await other.ended(kept.run.id)
    assert await other.text_of(kept.messages[1].id) == "yes"
    async with asyncio.timeout(WAIT_SECONDS):
        await reply.closed.wait()
    with pytest.raises(NotFound):
        await here.service.stop(OWNER, created.run.id)


async def test_who_hears_nothing_of_a_deletion_finds_it_at_the_next_words_and_ends(both: Both) -> None:
    here, there = both
    doomed = Talk(here.service, here.backend)
    _, reply = await doomed.ask("Never mind.")
    reply.start()
    assert here.database.peers is not None
    await here.database.peers.leave()
    await there.service.delete_chat(OWNER, doomed.chat_id)
    reply.say("to nobody")
    async with asyncio.timeout(WAIT_SECONDS):
        await reply.closed.wait()


async def test_what_a_process_leaves_that_dies_is_marked_by_another(
    tmp_path: Path, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(peers, "GONE_SECONDS", 0.5)
    url = postgresql.create()
    dying, left = await Process.begin(tmp_path, url), await Process.begin(tmp_path, url)
    assert (dying.database.leads, left.database.leads) == (True, False)
    talk = Talk(dying.service, dying.backend)
    created, reply = await talk.ask("Hello?")
    own, said = await Talk(left.service, left.backend).ask("And I?")
    said.start()
    reply.start()
    reply.say("I was ab")
    listener = Listener(left.service.follower(OWNER))
    await listener.follower.follow(created.run.id, 0)
    await listener.until_text(created.run.id, "I was ab")
    await dying.die()
    frames = await listener.until_end(created.run.id)
    assert frames[-1].message.status == "interrupted"  # type: ignore[union-attr]
    assert listener.text(created.run.id) == "I was ab"
    assert left.database.leads
    assert left.service.live(OWNER, own.run.id) is not None  # its own goes on
    await left.end()


async def test_who_is_away_for_a_moment_is_not_taken_for_dead(both: Both, postgresql: PostgreSQL) -> None:
    here, there = both
    assert here.database.peers is not None
    talk = Talk(here.service, here.backend)
    created, reply = await talk.ask("Hello?")
    reply.start()
    await here.database.peers._connection.close()  # nobody holds its number now
    for process in both:
        await process.service.elsewhere.mark_left_open()
    postgresql.stop()
    reply.say("I was ")
    postgresql.start()
    for process in both:
        await process.service.elsewhere.mark_left_open()
    reply.say("here.")
    reply.finish()
    await talk.ended(created.run.id)
    opened = await there.service.open_chat(OWNER, talk.chat_id)
    assert [message.status for message in opened.messages] == ["complete", "complete"]
    assert await talk.text_of(created.messages[1].id) == "I was here."


async def test_a_lost_connection_is_made_again_and_nothing_is_missed(both: Both) -> None:
    here, there = both
    assert there.database.peers is not None
    listener = Listener(there.service.follower(OWNER))
    talk = Talk(here.service, here.backend)
    created, reply = await talk.ask("Hello?")
    await listener.follower.follow(created.run.id, 0)
    await there.database.peers._connection.close()
    reply.start()
    reply.say("still here")
    await listener.until_text(created.run.id, "still here")
    reply.finish()
    await listener.until_end(created.run.id)
