from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import WebSocket
from starlette.websockets import WebSocketState
from websockets.exceptions import ConnectionClosed

from myna.server.api.events import Tab
from myna.store import changes
from tests.runs.conversation import new_id
from tests.server.api.conftest import Served, serve


async def test_a_tab_follows_an_answer_as_it_is_written(served: Served) -> None:
    async with served.tab() as tab:
        created, reply = await served.ask("count")
        run_id = created["run"]["id"]
        await tab.send(type="follow", run=run_id, after=0)
        reply.start()
        started = await tab.next("event")
        assert started == {
            "type": "event",
            "run": run_id,
            "seq": 1,
            "event": {"kind": "started", "prompt_tokens": 7, "cached_tokens": 3, "seed": 11},
        }
        reply.say("one, ")
        assert (await tab.next("event"))["event"] == {"kind": "text", "text": "one, "}
        reply.say("two")
        reply.finish()
        end = await tab.end(run_id)
        assert end["event"]["status"] == "complete"
        assert end["event"]["usage"]["completion_tokens"] == 8
        assert tab.text(run_id) == "one, two"


async def test_three_tabs_miss_nothing_and_hear_nothing_twice(served: Served) -> None:
    async with served.tab() as first, served.tab() as second:
        created, reply = await served.ask("count")
        run_id = created["run"]["id"]
        reply.start()
        for tab in (first, second):
            await tab.send(type="follow", run=run_id, after=0)
            await tab.next("event")
        for number in range(20):
            reply.say(f"{number} ")
            await first.next("event")
        seen = max(first.numbers(run_id))
        async with served.tab() as third:  # comes late, from a cursor in the middle, as after a reload
            await third.send(type="follow", run=run_id, after=seen)
            reply.say("end")
            reply.finish()
            for tab in (first, second, third):
                await tab.end(run_id)
            assert first.text(run_id) == second.text(run_id) == "".join(f"{n} " for n in range(20)) + "end"
            assert first.numbers(run_id) == list(range(1, first.numbers(run_id)[-1] + 1))
            assert second.numbers(run_id) == first.numbers(run_id)
            assert third.numbers(run_id) == [n for n in first.numbers(run_id) if n > seen]


async def test_who_comes_after_the_end_gets_the_message(served: Served) -> None:
    created = await served.exchange("count", "one, two")
    async with served.tab() as tab:
        await tab.send(type="follow", run=created["run"]["id"], after=1)
        snapshot = await tab.next("snapshot")
    assert snapshot["seq"] == 3
    assert snapshot["message"]["status"] == "complete"
    assert snapshot["message"]["parts"] == [{"type": "text", "text": "one, two"}]


async def test_other_tabs_hear_of_everything_that_changes(served: Served) -> None:
    cursor = (await served.call("GET", "/api/session"))["list_cursor"]
    async with served.tab() as tab:
        await tab.send(type="lists", after=cursor)
        created, reply = await served.ask("count")
        answer_id, run_id = created["messages"][1]["id"], created["run"]["id"]
        assert (await tab.change("chat", leaf_id=answer_id))["data"]["title"] == "count"
        await tab.change("run", id=run_id, status="queued")
        reply.start()
        reply.say("one")
        reply.finish()
        done = await tab.change("message", id=answer_id, status="complete")
        assert done["data"]["parts"] == [{"type": "text", "text": "one"}]
        await tab.change("run", id=run_id, status="complete")
        await served.call("PATCH", f"/api/chats/{served.chat_id}", {"title": "Numbers"})
        await tab.change("chat", title="Numbers")
        await served.call("DELETE", f"/api/messages/{created['messages'][0]['id']}", expect=204)
        await tab.change("message_deleted")
        await tab.change("message", id=answer_id, parent_id=None)
        await served.call("DELETE", f"/api/chats/{served.chat_id}", expect=204)
        gone = await tab.change("chat_deleted")
        assert gone == {"kind": "chat_deleted", "id": served.chat_id, "data": None}


async def test_changes_go_on_from_the_cursor_across_reconnects_and_restarts(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        await served.exchange("first", "one")
        async with served.tab() as tab:
            await tab.send(type="lists", after=0)
            await tab.change("run", status="complete")
            cursor = tab.frames[-1]["cursor"]
        chat_id = served.chat_id
        await served.call("PATCH", f"/api/chats/{chat_id}", {"title": "while away"})
    async with serve(tmp_path) as served:
        async with served.tab() as tab:
            await tab.send(type="lists", after=cursor)
            change = await tab.next("change")
            assert change["change"]["data"]["title"] == "while away"
            assert len(tab.frames) == 1
            await tab.send(type="ping")
            await tab.next("pong")
            assert len(tab.frames) == 2  # nothing else: nothing twice
        async with served.tab() as tab:
            await tab.send(type="lists", after=10**6)  # of another database
            reset = await tab.next("reset")
            assert reset["cursor"] == change["cursor"]


UNREADABLE: list[tuple[str, str | None]] = [
    ('{"type": "dance"}', None),
    ("[1", None),
    ("null", None),
    ('{"type": "follow", "run": "x", "after": 0}', "follow.run"),
    ('{"type": "follow", "run": "%s", "after": -1}'.replace("%s", new_id()), "follow.after"),
    ('{"type": "lists", "after": 0, "more": 1}', "lists.more"),
    ('{"type": "ping", "x": "\\ud800"}', None),
]


async def test_a_frame_that_cannot_be_read_is_answered(served: Served) -> None:
    async with served.tab() as tab:
        for frame, param in UNREADABLE:
            await tab.connection.send(frame)
            error = await tab.next("error")
            assert error["error"]["type"] == "invalid_request_error"
            assert error["run"] is None
            if param:
                assert error["error"]["param"] == param
        await tab.send(type="ping")
        await tab.next("pong")


async def test_following_what_is_not_there(served: Served) -> None:
    async with served.tab() as tab:
        run_id = new_id()
        await tab.send(type="follow", run=run_id, after=0)
        error = await tab.next("error")
        assert (error["error"]["code"], error["run"]) == ("not_found", run_id)
        await tab.send(type="unfollow", run=run_id)  # not followed: no error


@pytest.mark.parametrize(("frame", "code"), [("x" * 20_000, 1009), (b"binary", 1003)])
async def test_frames_of_the_wrong_size_or_kind_close_the_socket(served: Served, frame: str | bytes, code: int) -> None:
    async with served.tab() as tab:
        await tab.connection.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await tab.connection.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


async def test_a_server_that_ends_says_so(served: Served) -> None:
    async with served.tab() as tab:
        await tab.send(type="ping")
        await tab.next("pong")
        served.services.disconnect()
        with pytest.raises(ConnectionClosed) as closed:
            await tab.connection.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def test_tabs_that_go_leave_nothing_behind(served: Served) -> None:
    created, reply = await served.ask("count")
    reply.start()
    for _ in range(5):
        async with served.tab() as tab:
            await tab.send(type="follow", run=created["run"]["id"], after=0)
            await tab.next("event")
    await served.end()
    log = served.services.runs.live("local", created["run"]["id"])
    assert log is not None
    assert not log.followers
    assert not served.services.runs.followers["local"]


class StubbornSocket:
    """A WebSocket whose browser does not read: whatever is sent waits for ``reads``."""

    def __init__(self) -> None:
        self.application_state = WebSocketState.CONNECTED
        self.reads = asyncio.Event()
        self.busy = asyncio.Event()
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.receive = self.received.get

    async def send_text(self, text: str) -> None:
        assert self.application_state is WebSocketState.CONNECTED, "sent after it was closed"
        self.busy.set()
        await self.reads.wait()

    async def close(self, code: int) -> None:
        self.busy.set()
        await self.reads.wait()
        self.application_state = WebSocketState.DISCONNECTED


async def test_a_tab_that_does_not_read_is_given_up_quietly_when_the_server_ends(served: Served) -> None:
    socket = StubbornSocket()
    serving = asyncio.create_task(Tab(cast("WebSocket", socket), served.services, "local").serve())
    await socket.received.put({"type": "websocket.receive", "text": '{"type": "ping"}'})
    await socket.busy.wait()
    served.services.disconnect()
    serving.cancel()  # as the server does when its patience ends
    await serving


async def test_what_waits_its_turn_while_a_tab_is_closed_is_dropped(served: Served) -> None:
    socket = StubbornSocket()
    serving = asyncio.create_task(Tab(cast("WebSocket", socket), served.services, "local").serve())
    await socket.received.put({"type": "websocket.receive", "text": '{"type": "lists", "after": 1000000}'})
    await socket.received.put({"type": "websocket.receive", "bytes": b"binary"})
    await socket.busy.wait()
    for _ in range(5):  # later reads than the tab's own: it has its frame by then
        async with served.services.database.read("local") as scope:
            await changes.latest(scope)
    socket.reads.set()
    await serving


async def test_requests_and_tabs_need_no_threads(served: Served) -> None:
    before = set(threading.enumerate())  # one of an earlier test may still be ending
    for _ in range(5):
        await served.call("GET", "/api/session")
    async with served.tab() as tab:
        await tab.send(type="ping")
        await tab.next("pong")
    assert not [thread.name for thread in set(threading.enumerate()) - before if "AnyIO" in thread.name]


async def test_a_tab_hears_what_another_has_chosen(served: Served) -> None:
    async with served.tab() as tab:
        await tab.send(type="lists", after=0)
        response = await served.http.patch("/api/account/preferences", json={"theme": "dark"})
        assert response.status_code == 200
        frame = await tab.next("change")
        assert frame["change"] == {"kind": "preferences", "id": "preferences", "data": response.json()}
