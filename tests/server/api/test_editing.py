"""What one does with the messages of a chat, as the browser asks for it."""

from __future__ import annotations

from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


async def test_editing_and_copying_a_text(served: Served) -> None:
    created = await served.exchange("one", "uno")
    answer = created["messages"][1]["id"]
    async with served.tab() as other:
        await other.send(type="lists", after=0)
        edited = await served.call("PATCH", f"/api/messages/{answer}", {"text": "eins", "edited_at": None})
        assert (edited["parts"], edited["status"]) == ([{"type": "text", "text": "eins"}], "complete")
        heard = await other.change("message", id=answer, edited_at=edited["edited_at"])
        assert heard["data"]["parts"] == edited["parts"]
    stale = {"text": "un", "edited_at": None}
    error = await served.call("PATCH", f"/api/messages/{answer}", stale, expect=409)
    assert "another tab" in error["error"]["message"]
    await served.call("PATCH", f"/api/messages/{answer}", {**stale, "overwrite": True})
    copy = {"id": new_id(), "text": "één"}
    copied = await served.call("POST", f"/api/messages/{answer}/copy", copy, expect=201)
    assert copied["message"]["parent_id"] == created["messages"][0]["id"]
    assert copied["chat"]["leaf_id"] == copy["id"]
    _, reply = await served.ask("two", copy["id"])
    assert reply.request.messages is not None
    assert [turn.text for turn in reply.request.messages] == ["one", "één", "two"]
    await served.call("PATCH", f"/api/messages/{answer}", {"text": " "}, expect=400)
    await served.call("PATCH", f"/api/messages/{new_id()}", {"text": "x"}, expect=404)


async def test_forking_a_branch(served: Served) -> None:
    first = await served.exchange("one", "uno")
    answer = first["messages"][1]["id"]
    await served.exchange("two", "dos", answer)
    path, fork = f"/api/chats/{served.chat_id}/fork", {"id": new_id(), "message_id": answer}
    fork["title"] = "Branch · one"
    forked = await served.call("POST", path, fork, expect=201)
    assert forked["title"] == "Branch · one"
    await served.call("POST", path, {**fork, "id": new_id(), "title": "x" * 201}, expect=400)
    assert await served.call("POST", path, fork, expect=201) == forked
    opened = await served.call("GET", f"/api/chats/{fork['id']}")
    assert [message["parts"][0]["text"] for message in opened["messages"]] == ["one", "uno"]
    listed = await served.call("GET", "/api/chats")
    assert [chat["id"] for chat in listed["chats"]] == [fork["id"], served.chat_id]
    _, running = await served.ask("three", answer)
    opened = await served.call("GET", f"/api/chats/{served.chat_id}")
    body = {"id": new_id(), "message_id": opened["messages"][-1]["id"]}
    error = await served.call("POST", path, body, expect=409)
    assert "still being written" in error["error"]["message"]
    running.start()
    running.finish()


async def test_a_queued_message_is_sent_on_changed_or_taken_back(served: Served) -> None:
    first, reply = await served.ask("one")

    async def queued(text: str, parent_id: str) -> dict[str, str]:
        body = {
            "message": {"id": new_id(), "parent_id": parent_id, "text": text},
            "run": {"id": new_id(), "message_id": new_id()},
        }
        made = await served.call("POST", f"/api/chats/{served.chat_id}/messages", body, expect=201)
        assert [message["status"] for message in made["messages"]] == ["waiting", "waiting"]
        return {"run": made["run"]["id"], "answer": made["messages"][1]["id"], "asked": made["messages"][0]["id"]}

    second = await queued("two", first["messages"][1]["id"])
    third = await queued("three", second["answer"])
    changed = await served.call("PATCH", f"/api/runs/{second['run']}", {"text": "zwei"})
    assert (changed["parts"][0]["text"], changed["status"]) == ("zwei", "waiting")
    await served.call("DELETE", f"/api/messages/{second['asked']}", expect=409)
    await served.call("DELETE", f"/api/runs/{third['run']}", expect=204)
    await served.call("POST", f"/api/runs/{second['run']}/send", {}, expect=409)
    await served.call("POST", f"/api/runs/{first['run']['id']}/stop")
    assert not reply.request.background
    sent = await served.call("POST", f"/api/runs/{second['run']}/send", {})
    assert sent["status"] == "queued"
    reply = await served.backend.reply(second["run"])
    assert reply.request.messages is not None
    assert [turn.text for turn in reply.request.messages if turn.role == "user"] == ["one", "zwei"]
    await served.call("DELETE", f"/api/runs/{second['run']}", expect=409)
