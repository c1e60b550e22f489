"""Conversations: through the official clients, by several users, and with items that nobody should send."""

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
from openai.types.conversations import Message

from myna.server.openai.responses.items import TOKENS
from myna.store import conversations

PATH = "/v1/conversations"
SAID = {"type": "message", "role": "user", "content": "Hi"}

ClientAs = Callable[[str], AbstractAsyncContextManager[httpx2.AsyncClient]]


def said(*texts: str) -> list[Any]:
    return [SAID | {"content": text} for text in texts]


async def created(client: httpx2.AsyncClient, *texts: str) -> str:
    answer = await client.post(PATH, json={"items": said(*texts)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def texts_of(client: httpx2.AsyncClient, conversation_id: str) -> list[str]:
    answer = await client.get(f"{PATH}/{conversation_id}/items?order=asc&limit=100")
    assert answer.status_code == 200, answer.text
    return [item["content"][0]["text"] for item in answer.json()["data"]]


def test_the_official_client_keeps_a_conversation(stored_address: str) -> None:
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        made = client.conversations.create(items=said("Hello"), metadata={"topic": "birds"})
        assert (made.object, made.metadata) == ("conversation", {"topic": "birds"})
        assert client.conversations.retrieve(made.id) == made
        assert client.conversations.update(made.id, metadata={"topic": "mynas"}).metadata == {"topic": "mynas"}
        assert client.conversations.update(made.id, metadata=None).metadata == {}

        call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "c", "output": "nothing"}
        answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Well."}]}
        added = client.conversations.items.create(made.id, items=[call, result, answer])  # type: ignore[list-item]
        assert [item.type for item in added.data] == ["function_call", "function_call_output", "message"]
        assert (added.first_id, added.last_id, added.has_more) == (added.data[0].id, added.data[2].id, False)

        items = list(client.conversations.items.list(made.id, order="asc", limit=1))
        assert [item.type for item in items] == ["message", "function_call", "function_call_output", "message"]
        assert [item.id for item in client.conversations.items.list(made.id, limit=3)] == [
            item.id for item in items[::-1]
        ]
        first = client.conversations.items.retrieve(items[0].id or "", conversation_id=made.id)
        assert isinstance(first, Message)
        assert (first.role, first.content[0].type) == ("user", "input_text")

        left = client.conversations.items.delete(items[0].id or "", conversation_id=made.id)
        assert left.id == made.id
        assert len(list(client.conversations.items.list(made.id))) == 3
        assert client.conversations.delete(made.id).deleted
        with pytest.raises(openai.NotFoundError, match=made.id):
            client.conversations.items.list(made.id)


async def test_the_official_asynchronous_client_keeps_a_conversation(stored_address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        made = await client.conversations.create()
        await client.conversations.items.create(made.id, items=said("1", "2", "3"))
        pages = [item async for item in client.conversations.items.list(made.id, limit=2, order="asc")]
        assert [item.content[0].text for item in pages if isinstance(item, Message)] == ["1", "2", "3"]  # type: ignore[union-attr]


async def test_what_is_added_at_once_stays_together(stored_client: httpx2.AsyncClient) -> None:
    made = await created(stored_client)
    adding = (
        stored_client.post(f"{PATH}/{made}/items", json={"items": said(f"{n}a", f"{n}b", f"{n}c")}) for n in range(20)
    )
    assert {answer.status_code for answer in await asyncio.gather(*adding)} == {200}
    texts = await texts_of(stored_client, made)
    assert len(texts) == 60
    assert all(texts[at : at + 3] == [texts[at][:-1] + part for part in "abc"] for at in range(0, 60, 3))


async def test_users_see_their_own_alone(stored_client: httpx2.AsyncClient, client_as: ClientAs) -> None:
    made = await created(stored_client, "secret")
    listed = (await stored_client.get(f"{PATH}/{made}/items")).json()
    item = listed["data"][0]["id"]
    async with client_as("ben") as ben:
        for method, path, body in (
            ("GET", "", None),
            ("POST", "", {"metadata": {}}),
            ("DELETE", "", {}),
            ("GET", "/items", None),
            ("POST", "/items", {"items": said("forged")}),
            ("GET", f"/items/{item}", None),
            ("DELETE", f"/items/{item}", {}),
        ):
            answer = await ben.request(method, f"{PATH}/{made}{path}", json=body)
            assert answer.status_code == 404, (method, path)
            assert "secret" not in answer.text
    assert (await stored_client.get(f"{PATH}/{made}/items")).json() == listed


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": said(*map(str, range(21)))}, "items"),
        ({"items": "Hi"}, "items"),
        ({"items": {}}, "items"),
        ({"items": ["Hi"]}, "items[0]"),
        ({"items": [{"type": "poem"}]}, "items[0].type"),
        ({"items": [{"type": "item_reference", "id": "msg_1"}]}, "items[0].type"),
        ({"items": [SAID | {"content": "\ud800"}]}, "items[0].content"),
        ({"items": [SAID | {"id": "a"}, SAID | {"id": "a"}]}, "items[1].id"),
        ({"items": [SAID | {"id": "a/../b"}]}, "items[0].id"),
        ({"items": [SAID | {TOKENS: {"ids": [1], "tokenizer": "words"}}]}, f"items[0].{TOKENS}"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"metadata": {str(index): "" for index in range(17)}}, "metadata"),
        ({"item": []}, "item"),
        ([], None),
    ],
)
async def test_what_makes_no_conversation_is_refused_by_name(
    stored_client: httpx2.AsyncClient, body: Any, param: str | None
) -> None:
    answer = await stored_client.post(PATH, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": None}, {"items": said(*map(str, range(21)))}])
async def test_between_1_and_20_items_are_added(stored_client: httpx2.AsyncClient, body: Any) -> None:
    made = await created(stored_client)
    answer = await stored_client.post(f"{PATH}/{made}/items", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "items"


async def test_an_item_is_added_once(stored_client: httpx2.AsyncClient) -> None:
    made = await created(stored_client)
    sent = {"items": [SAID | {"id": "msg_1"}, SAID]}
    assert (await stored_client.post(f"{PATH}/{made}/items", json=sent)).status_code == 200
    again = await stored_client.post(f"{PATH}/{made}/items", json=sent)
    assert again.json()["error"]["param"] == "items[0].id"
    assert len(await texts_of(stored_client, made)) == 2


async def test_probabilities_are_shown_to_those_who_ask(
    running_app: FastAPI, stored_client: httpx2.AsyncClient
) -> None:
    made = await created(stored_client)
    part = {"type": "output_text", "text": "Hm", "annotations": [], "logprobs": [{"token": "Hm", "logprob": -1.0}]}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [part], TOKENS: {"ids": [1]}}
    async with running_app.state.database.write("local") as scope:
        await conversations.append(scope, made, [item])
    for path in (f"{PATH}/{made}/items", f"{PATH}/{made}/items/msg_1"):
        plain = (await stored_client.get(path)).json()
        asked = (await stored_client.get(f"{path}?include[]=message.output_text.logprobs")).json()
        for shown, logprobs in ((plain, []), (asked, part["logprobs"])):
            message = shown["data"][0] if "data" in shown else shown
            assert message["content"][0]["logprobs"] == logprobs
            assert TOKENS not in message
        refused = await stored_client.get(f"{path}?include=web_search_call.results")
        assert refused.status_code == 400
        assert (await stored_client.get(f"{path}?include=everything")).status_code == 400


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "order=new", "after=nothing", "before=x"])
async def test_items_are_asked_for_in_their_terms(stored_client: httpx2.AsyncClient, query: str) -> None:
    made = await created(stored_client, "a")
    assert (await stored_client.get(f"{PATH}/{made}/items?{query}")).status_code == 400
