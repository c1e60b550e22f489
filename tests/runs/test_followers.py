from __future__ import annotations

from typing import Any

import pytest

from myna.errors import InvalidParameter, NotFound
from myna.runs import followers as following
from myna.runs import log as run_log
from myna.runs.followers import ChangeFrame, EventFrame, ResetFrame, SnapshotFrame
from myna.runs.service import RunService
from myna.store import changes, chats
from myna.store.database import Database
from tests.runs.conversation import OWNER, Listener, Talk, new_id
from tests.runs.scripted import ScriptedBackend


async def test_a_follower_that_fell_behind_gets_a_snapshot_and_what_follows(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "WINDOW", 3)
    created, reply = await talk.ask("count")
    run_id = created.run.id
    slow, quick = (Listener(talk.service.follower(OWNER)) for _ in range(2))
    for listener in (slow, quick):
        await listener.follower.follow(run_id, 0)
    reply.start()
    for number in range(8):
        reply.say(str(number))
        await quick.until_text(run_id, "".join(str(n) for n in range(number + 1)))
    await slow.drain()
    assert isinstance(slow.frames[0], SnapshotFrame)
    assert slow.frames[0].seq == quick.events(run_id)[-1].seq
    reply.say("!")
    reply.finish()
    await slow.until_end(run_id)
    assert slow.text(run_id) == "01234567!"
    assert len(slow.frames) == 1 + len(slow.events(run_id))


async def test_a_follower_behind_at_the_end_gets_the_message(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "WINDOW", 2)
    created, reply = await talk.ask("count")
    run_id = created.run.id
    slow, quick = (Listener(talk.service.follower(OWNER)) for _ in range(2))
    for listener in (slow, quick):
        await listener.follower.follow(run_id, 0)
    reply.start()
    for word in ("one ", "two ", "three"):
        reply.say(word)
        await quick.more()
    reply.finish()
    await quick.until_end(run_id)
    frames = await slow.until_end(run_id)
    assert isinstance(frames[0], SnapshotFrame)
    assert (frames[0].message.text, frames[0].message.status) == ("one two three", "complete")
    assert frames[0].message.usage is not None
    assert len(frames) == 1


async def test_following_again_goes_on_from_the_new_cursor(talk: Talk) -> None:
    created, reply = await talk.ask("count")
    run_id = created.run.id
    listener = Listener(talk.service.follower(OWNER))
    await listener.follower.follow(run_id, 0)
    await listener.follower.follow(run_id, 0)
    reply.start()
    reply.say("one")
    await listener.until_text(run_id, "one")
    await listener.follower.follow(run_id, 1)
    reply.finish()
    await listener.until_end(run_id)
    assert [frame.seq for frame in listener.events(run_id)] in ([1, 2, 2, 3], [1, 2, 3, 2, 3, 4])
    log = talk.service.live(OWNER, run_id)
    assert log is None


async def test_a_follower_that_leaves_is_forgotten(talk: Talk) -> None:
    created, reply = await talk.ask("count")
    listener = Listener(talk.service.follower(OWNER))
    await listener.follower.follow(created.run.id, 0)
    log = talk.service.live(OWNER, created.run.id)
    assert log is not None
    assert log.followers
    listener.follower.unfollow(created.run.id)
    assert not log.followers
    reply.start()
    reply.finish()
    await talk.ended(created.run.id)
    await listener.drain()
    assert listener.frames == []
    listener.follower.close()
    assert not talk.service.followers[OWNER]


async def test_what_can_be_followed_is_bounded_and_ones_own(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await talk.exchange("one", "uno")
    second = await talk.exchange("two", "dos")
    monkeypatch.setattr(following, "MAX_FOLLOWED", 1)
    follower = talk.service.follower(OWNER)
    await follower.follow(first.run.id, 0)
    await follower.follow(first.run.id, 0)  # once more is not one more
    with pytest.raises(InvalidParameter, match="At most 1"):
        await follower.follow(second.run.id, 0)
    with pytest.raises(NotFound):
        await talk.service.follower("somebody else").follow(first.run.id, 0)
    with pytest.raises(NotFound):
        await talk.service.follower(OWNER).follow(new_id(), 0)


async def test_an_open_run_of_another_owner_cannot_be_followed_or_stopped(talk: Talk) -> None:
    created, reply = await talk.ask("secret")
    reply.start()
    with pytest.raises(NotFound):
        await talk.service.follower("somebody else").follow(created.run.id, 0)
    with pytest.raises(NotFound):
        await talk.service.stop("somebody else", created.run.id)
    assert talk.service.live(OWNER, created.run.id) is not None


async def test_changes_of_one_thing_come_as_its_newest_state(talk: Talk, database: Database) -> None:
    await talk.exchange("one", "uno")
    for title in ("a", "b", "c"):
        async with database.write(OWNER) as scope:
            await chats.update(scope, talk.chat_id, title=title)
    listener = Listener(talk.service.follower(OWNER))
    listener.follower.follow_lists(0)
    await listener.more()
    frames = [frame for frame in listener.frames if isinstance(frame, ChangeFrame)]
    assert sorted(frame.kind for frame in frames) == ["chat", "message", "message", "run"]
    assert [frame.cursor for frame in frames] == sorted(frame.cursor for frame in frames)
    assert [frame.data.title for frame in frames if frame.kind == "chat"] == ["c"]  # type: ignore[union-attr]
    await talk.service.delete_chat(OWNER, talk.chat_id)
    await listener.more()
    last = listener.frames[-1]
    assert isinstance(last, ChangeFrame)
    assert (last.kind, last.id, last.data) == ("chat_deleted", talk.chat_id, None)


async def test_long_lists_of_changes_come_complete(
    talk: Talk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_BATCH", 3)
    talks = [Talk(talk.service, talk.backend) for _ in range(4)]
    for each in talks:
        await each.exchange("one", "uno")
    listener = Listener(talk.service.follower(OWNER))
    listener.follower.follow_lists(0)
    await listener.drain()
    newest = {frame.id: frame for frame in listener.frames if isinstance(frame, ChangeFrame) and frame.kind == "run"}
    assert len(newest) == 4
    assert {frame.data.status for frame in newest.values()} == {"complete"}  # type: ignore[union-attr]


async def test_changes_that_are_gone_mean_a_reset(
    talk: Talk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "KEPT", 5)
    monkeypatch.setattr(changes, "_PRUNE_EVERY", 1)
    await talk.exchange("one", "uno")
    listener = Listener(talk.service.follower(OWNER))
    listener.follower.follow_lists(1)
    await listener.drain()
    async with database.read(OWNER) as scope:
        assert listener.frames == [ResetFrame(await changes.latest(scope))]
    await talk.exchange("two", "dos")
    listener.frames.clear()
    await listener.drain()
    assert listener.frames


async def test_a_run_that_is_unfollowed_while_frames_are_sent_is_not_mentioned_again(
    service: RunService, backend: ScriptedBackend
) -> None:
    follower = service.follower(OWNER)
    answers = []
    for text in ("first", "second"):
        created, reply = await Talk(service, backend).ask(text)
        listener = Listener(service.follower(OWNER))
        await listener.follower.follow(created.run.id, 0)
        reply.start()
        reply.say("so far")
        await listener.until_text(created.run.id, "so far")
        await follower.follow(created.run.id, 0)
        answers.append(created.run.id)
    frames = follower.pending()
    first = await anext(frames)
    assert isinstance(first, EventFrame)
    assert first.run_id == answers[0]
    follower.unfollow(answers[1])
    later = [frame async for frame in frames]
    assert all(isinstance(frame, EventFrame) and frame.run_id == answers[0] for frame in later)


async def test_a_change_that_comes_while_others_are_read_is_sent_too(
    talk: Talk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talk.exchange("one", "uno")
    read, titles = changes.after, ["Renamed"]

    async def slowly(*asked: Any) -> Any:
        found = await read(*asked)
        while titles:
            async with database.write(OWNER) as scope:
                await chats.update(scope, talk.chat_id, title=titles.pop())
        return found

    monkeypatch.setattr(changes, "after", slowly)
    listener = Listener(talk.service.follower(OWNER))
    listener.follower.follow_lists(0)
    await listener.drain()
    titles_heard = [
        frame.data.title for frame in listener.frames if isinstance(frame, ChangeFrame) and frame.kind == "chat"
    ]  # type: ignore[union-attr]
    assert titles_heard[-1] == "Renamed"
