"""Stored chat completions: through the official clients, by several users, and when they cannot be stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI

from myna.errors import EngineCrashed, StorageFull
from myna.models.dialects.answer import AnswerSyntax
from myna.store import completions
from tests.server.scripted import MODEL, ScriptedBackend

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}

HALF_A_TITLE = {"name": "a", "schema": {"title": "\ud800"}}

ClientAs = Callable[[str], AbstractAsyncContextManager[httpx2.AsyncClient]]


def body(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": HELLO, "store": True} | more


async def stored(client: httpx2.AsyncClient, **more: Any) -> str:
    answer = await client.post(CHAT, json=body(**more))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def listed(client: httpx2.AsyncClient, query: str = "") -> list[str]:
    answer = await client.get(f"{CHAT}?{query}")
    assert answer.status_code == 200, answer.text
    return [completion["id"] for completion in answer.json()["data"]]


def test_the_official_client_stores_and_finds_completions(stored_address: str) -> None:
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        api = client.chat.completions
        made = [
            api.create(
                model=MODEL,
                messages=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Hello {index}"}],
                store=True,
                metadata={"turn": str(index % 2)},
                temperature=0.5,
                seed=11,
                user="ann",
            )
            for index in range(5)
        ]
        api.create(model=MODEL, messages=[{"role": "user", "content": "Forget this"}])
        assert made[0].metadata == {"turn": "0"}
        assert [each.id for each in api.list(limit=2)] == [each.id for each in made]
        assert [each.id for each in api.list(order="desc", limit=3)] == [each.id for each in made[::-1]]
        assert [each.id for each in api.list(metadata={"turn": "1"})] == [made[1].id, made[3].id]
        assert [each.id for each in api.list(model="another")] == []
        assert [each.id for each in api.list(model=MODEL, limit=5)] == [each.id for each in made]

        kept = api.retrieve(made[0].id)
        assert kept.choices == made[0].choices
        assert kept.usage == made[0].usage
        assert (kept.created, kept.model, kept.object) == (made[0].created, MODEL, "chat.completion")
        assert kept.system_fingerprint == made[0].system_fingerprint
        assert kept.model_extra is not None
        assert kept.model_extra["temperature"] == 0.5
        assert kept.model_extra["seed"] == 11
        assert kept.model_extra["input_user"] == "ann"

        messages = list(api.messages.list(made[1].id, limit=1))
        assert [(each.role, each.content) for each in messages] == [("system", "Be kind."), ("user", "Hello 1")]
        assert [each.id for each in messages] == [f"{made[1].id}-0", f"{made[1].id}-1"]

        changed = api.update(made[0].id, metadata={"turn": "9", "kept": "yes"})
        assert changed.metadata == {"turn": "9", "kept": "yes"}
        assert api.retrieve(made[0].id).metadata == changed.metadata
        assert api.update(made[0].id, metadata=None).metadata == {}

        for each in api.list(limit=2):  # the row at which a page ends is gone when the next is asked for
            assert api.delete(each.id).deleted
        assert list(api.list()) == []
        with pytest.raises(openai.NotFoundError, match=made[0].id):
            api.retrieve(made[0].id)


async def test_the_official_asynchronous_client_stores_a_stream(stored_address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True, store=True, n=2
        )
        chunks = [chunk async for chunk in stream]
        kept = await client.chat.completions.retrieve(chunks[0].id)
        assert [choice.message.content for choice in kept.choices] == ["Hello there!"] * 2
        assert [choice.index for choice in kept.choices] == [0, 1]
        assert kept.object == "chat.completion"
        assert kept.created == chunks[0].created
        assert kept.usage is not None
        assert kept.usage.completion_tokens == 6
        assert [each.id async for each in client.chat.completions.list()] == [kept.id]
        assert [each.content async for each in client.chat.completions.messages.list(kept.id)] == ["Hi"]


def test_a_client_that_leaves_at_the_finish_reason_finds_its_completion(stored_address: str) -> None:
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        asked: Any = {"model": MODEL, "messages": HELLO, "stream": True, "store": True}
        with client.chat.completions.create(**asked) as stream:
            last = next(chunk for chunk in stream if chunk.choices[0].finish_reason)
        assert client.chat.completions.retrieve(last.id).choices[0].message.content == "Hello there!"


async def test_what_was_asked_is_kept_with_the_answer(
    stored_client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    backend.syntax = AnswerSyntax("hermes")
    backend.answer = ['<tool_call>{"name": "weather", "arguments": {}}</tool_call>']
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    parts = [{"type": "text", "text": "Rain"}, {"type": "text", "text": "?"}]
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "no"},
    ]
    made = await stored(stored_client, messages=messages, tools=[TOOL], tool_choice="auto", logprobs=True)
    kept = (await stored_client.get(f"{CHAT}/{made}")).json()
    assert kept["tools"] == [TOOL]
    assert kept["tool_choice"] == "auto"
    assert kept["response_format"] is None
    assert kept["service_tier"] == "default"
    assert kept["choices"][0]["finish_reason"] == "tool_calls"
    assert kept["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}
    assert kept["choices"][0]["logprobs"]["content"]
    shown = (await stored_client.get(f"{CHAT}/{made}/messages")).json()
    assert (shown["first_id"], shown["last_id"], shown["has_more"]) == (f"{made}-0", f"{made}-2", False)
    assert [message["content"] for message in shown["data"]] == ["Rain?", None, "no"]
    assert shown["data"][0]["content_parts"] == parts
    assert shown["data"][1]["tool_calls"] == [call]
    assert shown["data"][2]["tool_call_id"] == "c1"


async def test_nothing_is_stored_unasked(stored_client: httpx2.AsyncClient) -> None:
    answer = await stored_client.post(CHAT, json=body(store=False, metadata={"a": "b"}))
    assert answer.json()["metadata"] == {"a": "b"}
    await stored_client.post(CHAT, json=body(store=None))
    assert await listed(stored_client) == []


async def test_an_answer_that_fails_is_not_stored(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.late_failure = EngineCrashed("It crashed.")
    for stream in (False, True):
        await stored_client.post(CHAT, json=body(stream=stream))
    assert await listed(stored_client) == []


async def test_an_answer_whose_client_goes_is_not_stored(
    running_app: FastAPI, stored_client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    backend.gate = asyncio.Event()
    asking = asyncio.create_task(stored_client.post(CHAT, json=body()))
    await asyncio.to_thread(backend.paused.wait, 20)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert backend.cancelled
    assert await listed(stored_client) == []


async def test_users_see_their_own_alone(stored_client: httpx2.AsyncClient, client_as: ClientAs) -> None:
    made = await stored(stored_client, metadata={"whose": "mine"})
    async with client_as("ben") as ben:
        assert await listed(ben, "metadata[whose]=mine") == []
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/messages")):
            answer = await ben.request(
                method, f"{CHAT}/{made}{path}", json=None if method == "GET" else {"metadata": {}}
            )
            assert answer.status_code == 404
            assert answer.json()["error"]["param"] == "completion_id"
        his = await stored(ben)
        assert await listed(ben) == [his]
    assert await listed(stored_client) == [made]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when a completion is to be written."""

    async def refuse(*_: object) -> None:
        raise StorageFull("The disk that holds myna.db is full.")

    monkeypatch.setattr(completions, "add", refuse)


@pytest.mark.usefixtures("full")
async def test_an_answer_that_cannot_be_stored_is_delivered_with_the_failure(stored_client: httpx2.AsyncClient) -> None:
    answer = await stored_client.post(CHAT, json=body())
    assert answer.status_code == 507
    assert answer.json()["error"]["code"] == "disk_full"
    assert answer.json()["completion"]["choices"][0]["message"]["content"] == "Hello there!"
    assert answer.headers["x-should-retry"] == "false"
    assert await listed(stored_client) == []


@pytest.mark.usefixtures("full")
async def test_a_stream_that_cannot_be_stored_ends_with_the_failure(stored_client: httpx2.AsyncClient) -> None:
    answer = await stored_client.post(CHAT, json=body(stream=True))
    frames = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    said = "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames[:-1])
    assert said == "Hello there!"
    assert frames[-2]["choices"][0]["finish_reason"] == "stop"
    assert frames[-1]["error"]["code"] == "disk_full"


@pytest.mark.usefixtures("full")
def test_the_official_client_does_not_ask_again_for_what_cannot_be_stored(
    stored_address: str, backend: ScriptedBackend
) -> None:
    client = openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none")
    with client, pytest.raises(openai.InternalServerError, match="disk"):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}], store=True)
    assert len(backend.requests) == 1


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"metadata": {str(index): "" for index in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: ""}}, f"metadata.{'k' * 64}"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"metadata": ["k"]}, "metadata"),
        ({"metadata": {"k": "\ud800"}}, "metadata.k"),
        ({"store": "yes"}, "store"),
        ({"user": "\ud800"}, "user"),
        ({"response_format": {"type": "json_schema", "json_schema": HALF_A_TITLE}}, None),
    ],
)  # fmt: skip
async def test_hostile_labels_are_refused(
    stored_client: httpx2.AsyncClient, more: dict[str, Any], param: str | None
) -> None:
    answer = await stored_client.post(
        CHAT, content=json.dumps(body(**more)), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    if param is not None:
        assert answer.json()["error"]["param"] == param
    assert await listed(stored_client) == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [({"metadata": {"a": "b"}}, 200), ({"metadata": None}, 200), ({}, 400), ({"metadata": {}, "model": "x"}, 400)],
)
async def test_metadata_alone_can_be_changed(
    stored_client: httpx2.AsyncClient, sent: dict[str, Any], status: int
) -> None:
    made = await stored(stored_client)
    answer = await stored_client.post(f"{CHAT}/{made}", json=sent)
    assert answer.status_code == status


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "order=new", "metadata=x", "colour=red", "after="])
async def test_a_list_is_asked_for_in_its_terms(stored_client: httpx2.AsyncClient, query: str) -> None:
    assert (await stored_client.get(f"{CHAT}?{query}")).status_code == 400


@pytest.mark.parametrize("odd", ["%00", "a%2Fb", "%F0%9F%90%A6", "x" * 5000, "'%20OR%201=1"])
async def test_an_id_that_cannot_be_is_not_found(stored_client: httpx2.AsyncClient, odd: str) -> None:
    assert (await stored_client.get(f"{CHAT}/{odd}")).status_code == 404
