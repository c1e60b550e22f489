from __future__ import annotations

from typing import Any

from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


def body(**changes: Any) -> dict[str, Any]:
    message = {"id": new_id(), "parent_id": None, "text": "hello"}
    run = {"id": new_id(), "message_id": new_id()}
    for name, value in changes.items():
        part, _, key = name.partition("__")
        (message if part == "message" else run)[key] = value
    return {"message": message, "run": run}


async def test_the_same_request_again_finds_what_the_first_made(served: Served) -> None:
    path = f"/api/chats/{served.chat_id}/messages"
    request = body(run__parameters={"temperature": 0.5, "seed": 7})
    first = await served.call("POST", path, request, expect=201)
    again = await served.call("POST", path, request, expect=200)
    assert again == first
    reply = await served.backend.reply(request["run"]["id"])
    assert (reply.request.params.temperature, reply.request.params.seed) == (0.5, 7)
    request["message"]["text"] = "something else"
    error = await served.call("POST", path, request, expect=409)
    assert error["error"]["code"] == "conflict"


async def test_deleting_a_message_moves_its_children_up(served: Served) -> None:
    first = await served.exchange("one", "uno")
    second = await served.exchange("two", "dos", first["messages"][1]["id"])
    await served.call("DELETE", f"/api/messages/{first['messages'][1]['id']}", expect=204)
    opened = await served.call("GET", f"/api/chats/{served.chat_id}")
    parents = {message["id"]: message["parent_id"] for message in opened["messages"]}
    assert parents[second["messages"][0]["id"]] == first["messages"][0]["id"]
    await served.call("DELETE", f"/api/messages/{first['messages'][1]['id']}", expect=404)


async def test_an_open_answer_is_not_deleted(served: Served) -> None:
    created, _ = await served.ask("one")
    error = await served.call("DELETE", f"/api/messages/{created['messages'][1]['id']}", expect=409)
    assert "still being written" in error["error"]["message"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"message__text": ""}, "message.text"),
    ({"message__text": " \n "}, "message.text"),
    ({"message__text": "a\0b"}, "message.text"),
    ({"message__text": "\ud800"}, "message.text"),
    ({"message__text": "x" * 1_000_001}, "message.text"),
    ({"message__text": 5}, "message.text"),
    ({"message__id": "1"}, "message.id"),
    ({"message__role": "system"}, "message.role"),
    ({"run__id": new_id().upper()}, "run.id"),
    ({"run__parameters": {"temperature": 3}}, "run.parameters.temperature"),
    ({"run__parameters": {"temprature": 1}}, "run.parameters.temprature"),
    ({"run__parameters": {"top_p": 0}}, "run.parameters.top_p"),
    ({"run__parameters": {"max_tokens": 0}}, "run.parameters.max_tokens"),
]


async def test_what_cannot_be_sent_is_named(served: Served) -> None:
    for changes, param in REFUSED:
        error = await served.call("POST", f"/api/chats/{served.chat_id}/messages", body(**changes), expect=400)
        assert error["error"]["param"] == param
    assert (await served.call("GET", "/api/chats"))["chats"] == []


async def test_unknown_fields_without_number_are_not_told_one_by_one(served: Served) -> None:
    endless = {f"field {number}": 0 for number in range(101)}
    for asked in (body() | endless, body(run__parameters=endless)):
        error = await served.call("POST", f"/api/chats/{served.chat_id}/messages", asked, expect=400)
        assert "at most 100 fields" in error["error"]["message"]


async def test_an_unknown_model_or_parent_makes_no_chat(served: Served) -> None:
    path = f"/api/chats/{served.chat_id}/messages"
    error = await served.call("POST", path, body(run__model="scriptd"), expect=404)
    assert "Did you mean scripted?" in error["error"]["message"]
    await served.call("POST", path, body(message__parent_id=new_id()), expect=404)
    assert (await served.call("GET", "/api/chats"))["chats"] == []


async def test_every_letter_comes_back(served: Served) -> None:
    text = "﻿ \t日本語 🦜 \u202e<script>alert(1)</script>&amp; '\"; DROP TABLE messages;--\r\n\x7f "
    created = await served.exchange(text, text)
    opened = await served.call("GET", f"/api/chats/{served.chat_id}")
    assert [message["parts"] for message in opened["messages"]] == [[{"type": "text", "text": text}]] * 2
    assert created["messages"][0]["parts"] == [{"type": "text", "text": text}]


async def test_messages_come_by_their_ids(served: Served) -> None:
    created = await served.exchange("one", "uno")
    asked, answer = (message["id"] for message in created["messages"])
    path = f"/api/chats/{served.chat_id}/messages"
    found = await served.call("GET", f"{path}?ids={answer},{new_id()}")
    assert [message["parts"][0]["text"] for message in found["messages"]] == ["uno"]
    assert found["runs"] == []
    for wrong in ("", "?ids=", "?ids=1", f"?ids={asked},", "?ids=" + ",".join([asked] * 101)):
        refused = await served.call("GET", path + wrong, expect=400)
        assert refused["error"]["param"] == "ids"
    await served.call("GET", f"/api/chats/{new_id()}/messages?ids={asked}", expect=404)
