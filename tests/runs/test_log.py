from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event

from myna.chat import TextPart
from myna.runs import log as run_log
from myna.runs import writer as run_writer
from myna.runs.log import LogWriter, RunLog, fold
from myna.runs.service import RunService
from myna.store import chats, messages, runs
from myna.store.database import Database
from myna.store.records import Chat, EndEvent, Message, Run, StartedEvent, TextEvent
from tests.runs.conversation import OWNER, Listener, Talk, new_id
from tests.runs.scripted import ScriptedBackend

STARTED = StartedEvent(3, 0, 1, "v")


async def open_log(database: Database, writer: LogWriter) -> RunLog:
    """A run that is stored and open."""
    chat = Chat(new_id(), None, None, None, 1, 1, 1)
    message = Message(new_id(), chat.id, None, "assistant", (), "running", "m", 1)
    run = Run(new_id(), chat.id, message.id, "m", "queued", 0, 1, "digest")
    async with database.write(OWNER) as scope:
        await chats.create(scope, chat)
        await messages.add(scope, message)
        await runs.add(scope, run)
    return RunLog(OWNER, run, message, writer)


@contextmanager
def commits(database: Database) -> Iterator[list[None]]:
    """One entry a commit."""
    made: list[None] = []

    def more(_connection: object) -> None:
        made.append(None)

    event.listen(database.writer.sync_engine, "commit", more)
    try:
        yield made
    finally:
        event.remove(database.writer.sync_engine, "commit", more)


def test_tokens_continue_the_part_of_the_same_vocabulary() -> None:
    base = (TextPart("a", (1,), "v"),)
    more = [TextEvent("b", (2,)), TextEvent("c", (3, 4))]
    assert fold(base, "v", more) == (TextPart("abc", (1, 2, 3, 4), "v"),)
    assert fold(base, "w", more) == (*base, TextPart("bc", (2, 3, 4), "w"))
    assert fold((TextPart("a"),), "v", more) == (TextPart("a"), TextPart("bc", (2, 3, 4), "v"))
    assert fold(base, "v", []) == base


async def test_what_comes_between_two_commits_is_one_event(database: Database) -> None:
    writer = LogWriter(database)
    log = await open_log(database, writer)
    log.append(STARTED)
    for word in ("one ", "two ", "three"):
        log.append(TextEvent(word, (len(word),)))
    await writer.close()
    assert log.after(0, 10) == [(1, STARTED), (2, TextEvent("one two three", (4, 4, 5)))]
    async with database.read(OWNER) as scope:
        assert await runs.logged(scope, log.run.id) == (2, "v", [TextEvent("one two three", (4, 4, 5))])


async def test_every_event_is_read_back_as_it_was(database: Database) -> None:
    writer = LogWriter(database)
    log = await open_log(database, writer)
    said = [STARTED, TextEvent("Hm, ", (1, 2), reasoning=True), TextEvent("yes", (3,))]
    async with database.write(OWNER) as scope:
        numbered = [(OWNER, log.run.id, number, event) for number, event in enumerate(said, 1)]
        await runs.append_events(scope.transaction, numbered)
    async with database.read(OWNER) as scope:
        assert await runs.events_after(scope, log.run.id, 0, 10) == list(enumerate(said, 1))
        assert await runs.events_after(scope, log.run.id, 1, 1) == [(2, said[1])]


async def test_tokens_without_text_wait_for_it(database: Database) -> None:
    writer = LogWriter(database)
    log = await open_log(database, writer)
    log.append(STARTED)
    log.append(TextEvent("", (1,)))
    await writer._flush()
    log.append(TextEvent("🦜", (2,)))
    await writer.close()
    assert log.after(1, 10) == [(2, TextEvent("🦜", (1, 2)))]


async def test_all_runs_share_a_commit(database: Database) -> None:
    writer = LogWriter(database)
    logs = [await open_log(database, writer) for _ in range(32)]
    with commits(database) as made:
        for log in logs:
            log.append(STARTED)
            log.append(TextEvent("text", (1,)))
            log.append(EndEvent("complete", None, None))
        await writer.close()
    assert len(made) == 1
    assert all(log.ended.is_set() for log in logs)


async def test_nothing_is_shown_before_it_is_stored(database: Database) -> None:
    writer = LogWriter(database)
    log = await open_log(database, writer)
    shown: list[object] = []

    def before_commit(_connection: object) -> None:
        shown.extend(log.after(0, 10) or [])

    event.listen(database.writer.sync_engine, "commit", before_commit)
    log.append(STARTED)
    await writer.close()
    assert shown == []
    assert log.after(0, 10) == [(1, STARTED)]


async def test_a_window_that_has_moved_on_gives_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "WINDOW", 3)
    writer = LogWriter(database)
    log = await open_log(database, writer)
    log.append(STARTED)
    for number in range(5):
        log.append(TextEvent(str(number), (number,)))
        await writer._flush()
    assert log.after(0, 10) is None
    assert log.after(2, 10) is None
    assert log.after(3, 10) == [(seq, TextEvent(str(seq - 2), (seq - 2,))) for seq in (4, 5, 6)]
    assert log.after(3, 2) == [(seq, TextEvent(str(seq - 2), (seq - 2,))) for seq in (4, 5)]
    assert log.after(6, 10) == []
    assert log.after(7, 10) is None
    run, message = log.snapshot()
    assert (run.last_event, message.text) == (6, "01234")


async def test_a_disk_that_is_full_for_a_while_costs_nothing(
    database: Database,
    service: RunService,
    backend: ScriptedBackend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(run_writer, "RETRY_SECONDS", 0.01)
    talk = Talk(service, backend)
    created, reply = await talk.ask("count")
    refused = asyncio.Event()
    pages = 1  # SQLite takes the size that the database has already, if that is more

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    event.listen(database.writer.sync_engine, "begin", limit)
    event.listen(database.writer.sync_engine, "rollback", lambda _connection: refused.set())
    long = "one " * 50_000
    with caplog.at_level(logging.CRITICAL):
        reply.start()
        reply.say(long)
        await refused.wait()
        assert service.live(OWNER, created.run.id) is not None
        pages = 2**30
        reply.say("two")
        reply.finish()
        await talk.ended(created.run.id)
    assert await talk.text_of(created.messages[1].id) == long + "two"


async def test_a_follower_hears_the_same_whatever_the_cursor(service: RunService, backend: ScriptedBackend) -> None:
    talk = Talk(service, backend)
    created, reply = await talk.ask("count")
    whole = Listener(service.follower(OWNER))
    await whole.follower.follow(created.run.id, 0)
    reply.start()
    for number in range(6):
        reply.say(f"{number} ")
        await whole.until_text(created.run.id, "".join(f"{n} " for n in range(number + 1)))
    last = whole.events(created.run.id)[-1].seq
    late = [Listener(service.follower(OWNER)) for _ in range(last + 1)]
    for cursor, listener in enumerate(late):
        await listener.follower.follow(created.run.id, cursor)
    reply.finish()
    for listener in (whole, *late):
        await listener.until_end(created.run.id)
    events = whole.events(created.run.id)
    assert [frame.seq for frame in events] == list(range(1, last + 2))
    for cursor, listener in enumerate(late):
        assert listener.frames == events[cursor:]
