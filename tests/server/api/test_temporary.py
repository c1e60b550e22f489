from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from myna.runs import temporary
from myna.store import preferences
from tests.patience import WAIT_SECONDS
from tests.runs.conversation import new_id
from tests.runs.scripted import Reply
from tests.server.api.conftest import Served, serve

MARKER = "xyzzy-of-which-no-trace-shall-be-left"


def on_disk(directory: Path) -> bytes:
    """All bytes of all files: the database's, its journal's, and whatever else there is."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def begin(
    served: Served, text: str = MARKER, *, chat_id: str | None = None, parent_id: str | None = None, **settings: Any
) -> tuple[str, dict[str, Any], Reply]:
    """Send a message in a temporary chat, which the first one makes."""
    chat_id = chat_id or new_id()
    body = {
        "message": {"id": new_id(), "parent_id": parent_id, "text": text},
        "run": {"id": new_id(), "message_id": new_id()},
        "chat": {"temporary": True, **settings},
    }
    created = await served.call("POST", f"/api/chats/{chat_id}/messages", body, expect=201)
    return chat_id, created, await served.backend.reply(created["run"]["id"])


async def ended(served: Served, chat_id: str, run_id: str) -> None:
    chat = served.services.temporary.get("local", chat_id)
    assert chat is not None
    if (log := chat.runs.live("local", run_id)) is not None:
        await log.ended.wait()


async def answer(served: Served, chat_id: str, created: dict[str, Any], reply: Reply, text: str = MARKER) -> None:
    reply.start()
    reply.say(text)
    reply.finish()
    await ended(served, chat_id, created["run"]["id"])


async def test_it_leaves_no_trace(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serve(tmp_path) as served, served.tab() as lists:
        await lists.send(type="lists", after=0)
        chat_id, created, reply = await begin(served, system_prompt=MARKER)
        await answer(served, chat_id, created, reply)
        opened = await served.call("GET", f"/api/chats/{chat_id}")
        assert [part["text"] for message in opened["messages"] for part in message["parts"]] == [MARKER, MARKER]
        assert reply.request.messages[0].text == MARKER, "it has settings as other chats have"
        asked, said = (message["id"] for message in opened["messages"])
        await served.call("PATCH", f"/api/messages/{asked}", {"text": f"{MARKER} again"})
        await served.call("POST", f"/api/messages/{said}/copy", {"id": new_id(), "text": MARKER}, expect=201)
        await served.call("PATCH", f"/api/chats/{chat_id}", {"title": MARKER, "leaf_id": said})

        assert (await served.call("GET", "/api/chats"))["chats"] == []
        found = await served.call("GET", f"/api/search?q={MARKER[:5]}")
        assert MARKER not in str(found)
        fork = {"id": new_id(), "message_id": said}
        await served.call("POST", f"/api/chats/{chat_id}/fork", fork, expect=409)
        # Sent by itself when the lists change: the next that is heard of them is of a chat that is kept.
        await served.exchange("kept", "kept")
        await lists.change("chat", id=served.chat_id)
        assert MARKER not in str(lists.frames)
        written = on_disk(tmp_path)
        assert b"kept" in written, "as are the answers of chats that are kept"
        assert MARKER.encode() not in written
    written = on_disk(tmp_path)
    assert MARKER.encode() not in written
    assert MARKER not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("myna"))


async def test_it_is_followed_branched_and_stopped_as_any_other(served: Served) -> None:
    async with served.tab() as tab:
        chat_id, created, reply = await begin(served)
        run_id = created["run"]["id"]
        await tab.send(type="hold", chat=chat_id)
        assert (await tab.next("held"))["chat"] == chat_id
        await tab.send(type="follow", run=run_id, after=0)
        reply.start()
        reply.say("half")
        await tab.next("event")
        again = {"id": new_id(), "message_id": new_id(), "parent_id": created["messages"][0]["id"]}
        await served.call("POST", f"/api/chats/{chat_id}/runs", again, expect=201)
        change = await tab.change("message", id=again["message_id"])
        assert change["data"]["chat_id"] == chat_id
        assert {frame["cursor"] for frame in tab.frames if frame["type"] == "change"} == {None}
        second = await served.backend.reply(again["id"])
        second.start()
        await served.call("POST", f"/api/runs/{run_id}/stop")
        assert (await tab.end(run_id))["event"]["status"] == "stopped"
        assert tab.text(run_id) == "half"


async def test_it_survives_a_lost_connection(served: Served) -> None:
    chat_id, created, reply = await begin(served)
    async with served.tab() as tab:
        await tab.send(type="hold", chat=chat_id)
        await tab.next("held")
    reply.start()
    reply.say("meanwhile")
    async with served.tab() as tab:
        await tab.send(type="hold", chat=chat_id)
        await tab.next("held")
        opened = await served.call("GET", f"/api/chats/{chat_id}")
        assert [run["id"] for run in opened["runs"]] == [created["run"]["id"]]
        await tab.send(type="follow", run=created["run"]["id"], after=0)
        reply.finish()
        await tab.end(created["run"]["id"])
        assert tab.text(created["run"]["id"]) == "meanwhile"


async def test_deleting_it_ends_it_for_every_tab(served: Served) -> None:
    async with served.tab() as tab, served.tab() as other:
        chat_id, created, reply = await begin(served)
        reply.start()
        for one in (tab, other):
            await one.send(type="hold", chat=chat_id)
            await one.next("held")
        await served.call("DELETE", f"/api/chats/{chat_id}", expect=204)
        for one in (tab, other):
            await one.change("chat_deleted")
        await served.call("GET", f"/api/chats/{chat_id}", expect=404)
        await tab.send(type="hold", chat=chat_id)
        while len([frame for frame in tab.frames if frame["type"] == "change"]) < 2:
            await tab.next("change")
        body = {
            "message": {"id": new_id(), "parent_id": created["messages"][1]["id"], "text": "more"},
            "run": {"id": new_id(), "message_id": new_id()},
            "chat": {"temporary": True},
        }
        error = await served.call("POST", f"/api/chats/{chat_id}/messages", body, expect=404)
        assert "is over" in error["error"]["message"]
        assert (await served.call("GET", "/api/chats"))["chats"] == []


async def test_it_ends_some_time_after_its_last_tab_went(served: Served) -> None:
    chat_id, created, reply = await begin(served)
    await answer(served, chat_id, created, reply)
    chats = served.services.temporary
    chat = chats.get("local", chat_id)
    assert chat is not None
    first, second = chats.hold(chat, asyncio.Event()), chats.hold(chat, asyncio.Event())
    chats.idle_seconds = 0
    chats.release(chat, first)
    assert chat.leaving is None
    chats.release(chat, second)
    assert chat.leaving is not None
    async with asyncio.timeout(WAIT_SECONDS):
        await chat.gone.wait()
    await served.call("GET", f"/api/chats/{chat_id}", expect=404)


async def test_it_ends_with_the_server(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        chat_id, _, reply = await begin(served)
        reply.start()
    async with serve(tmp_path) as served:
        await served.call("GET", f"/api/chats/{chat_id}", expect=404)


async def test_it_is_of_its_owner_alone_and_ends_when_he_goes(served: Served) -> None:
    chat_id, created, reply = await begin(served)
    await answer(served, chat_id, created, reply)
    services, message_id = served.services, created["messages"][0]["id"]
    assert services.temporary.get("somebody else", chat_id) is None
    assert await services.home("somebody else", chat=chat_id) is services
    assert await services.home("somebody else", message=message_id) is services
    assert await services.home("somebody else", run=created["run"]["id"]) is services
    assert await services.home("local", message=message_id) is services.temporary.get("local", chat_id)
    services.forget("somebody else")
    chat = services.temporary.get("local", chat_id)
    assert chat is not None
    services.interrupt("local")
    async with asyncio.timeout(WAIT_SECONDS):
        await chat.gone.wait()


async def test_the_users_own_instructions_and_licences_count(served: Served) -> None:
    async with served.services.database.write("local") as scope:
        await preferences.change(scope, instructions="Answer in verse.")
    chat_id, _, reply = await begin(served)
    assert reply.request.messages[0].text == "Answer in verse."
    body = {
        "message": {"id": new_id(), "parent_id": None, "text": "hello"},
        "run": {"id": new_id(), "message_id": new_id(), "model": "restricted"},
        "chat": {"temporary": True},
    }
    error = await served.call("POST", f"/api/chats/{new_id()}/messages", body, expect=403)
    assert error["error"]["code"] == "licence_not_acknowledged"
    assert [chat.id for chat in served.services.temporary.of("local")] == [chat_id], "what was refused takes no room"


async def test_number_and_size_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = [await begin(served) for _ in range(temporary.MOST_OF_USER)]
    body = {
        "message": {"id": new_id(), "parent_id": None, "text": "one more"},
        "run": {"id": new_id(), "message_id": new_id()},
        "chat": {"temporary": True},
    }
    error = await served.call("POST", f"/api/chats/{new_id()}/messages", body, expect=409)
    assert "end one of them" in error["error"]["message"]
    monkeypatch.setattr(temporary, "MOST_BYTES", 1000)
    chat_id, created, reply = chats[0]
    await answer(served, chat_id, created, reply)
    body["message"]["parent_id"] = created["messages"][1]["id"]
    error = await served.call("POST", f"/api/chats/{chat_id}/messages", body, expect=413)
    assert "as large as one may be" in error["error"]["message"]


async def test_a_chat_that_is_kept_does_not_become_temporary(served: Served) -> None:
    await served.exchange("one", "uno")
    body = {
        "message": {"id": new_id(), "parent_id": None, "text": "two"},
        "run": {"id": new_id(), "message_id": new_id()},
        "chat": {"temporary": True},
    }
    await served.call("POST", f"/api/chats/{served.chat_id}/messages", body, expect=409)
