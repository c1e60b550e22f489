from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from myna.errors import PromptTooLong
from tests.runs.scripted import Reply
from tests.server.api.conftest import Served

PATH = "/api/playground"


async def lines(served: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    headers = {"content-type": "application/json", "origin": served.url}
    answer = await served.http.post(PATH, content=json.dumps(body).encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_continuations_come_together_and_raw(served: Served) -> None:
    body = {"text": "Once upon", "parameters": {"seed": 5, "temperature": 1, "stop": ["END"]}, "count": 2}
    request = asyncio.create_task(lines(served, body))
    replies = await served.backend.several(2)
    for number, reply in enumerate(replies):
        reply.start()
        reply.say(f" a time {number}")
        reply.finish()
    events = await request
    assert [reply.request.params.seed for reply in replies] == [5, 6]
    assert all(reply.request.text == "Once upon" and reply.request.messages is None for reply in replies)
    assert replies[0].request.params.stop == ("END",)
    told = {index: "".join(each.get("text", "") for each in events if each["index"] == index) for index in (0, 1)}
    assert told == {0: " a time 0", 1: " a time 1"}
    assert [each["end"]["reason"] for each in events if "end" in each] == ["stop", "stop"]
    assert (await served.call("GET", "/api/chats"))["chats"] == []  # nothing is stored


async def test_what_the_engine_refuses_is_refused_before_the_stream(served: Served) -> None:
    request = asyncio.create_task(served.call("POST", PATH, {"text": "long"}, expect=400))
    (await served.backend.several(1))[0].fail(PromptTooLong(9000, 4096))
    assert (await request)["error"]["code"] == "context_length_exceeded"


async def test_a_client_that_goes_ends_the_work(served: Served) -> None:
    headers = {"content-type": "application/json", "origin": served.url}

    async def begin() -> Reply:
        reply = (await served.backend.several(1))[0]
        reply.start()
        return reply

    begun = asyncio.create_task(begin())
    async with served.http.stream("POST", PATH, content=b'{"text": "x"}', headers=headers) as answer:
        assert answer.status_code == 200
    await (await begun).closed.wait()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": ""}, 400),
        ({"text": "x", "count": 5}, 400),
        ({"text": "x", "parameters": {"dialect": "alpaca"}}, 400),
        ({"text": "x", "model": "unheard-of"}, 404),
        ({"text": "x", "model": "restricted"}, 403),
    ],
    ids=str,
)
async def test_what_cannot_be_continued(served: Served, body: dict[str, Any], status: int) -> None:
    await served.call("POST", PATH, body, expect=status)
    assert served.backend.replies == {}
