"""Tokens of texts and conversations, and back."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.patience import WAIT_SECONDS
from tests.processes import Server
from tests.server.scripted import CONTEXT, MODEL


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"prompt": "one two three"}, 3),
        ({"prompt": "one two three", "add_special_tokens": False}, 3),
        ({"prompt": ""}, 0),
        ({"messages": [{"role": "user", "content": "one two"}]}, 2),
    ],
)
async def test_texts_and_conversations_are_counted(
    client: httpx2.AsyncClient, body: dict[str, Any], count: int
) -> None:
    answer = (await client.post("/v1/tokenize", json={"model": MODEL, **body})).json()
    tokens = list(range(100, 100 + count))
    assert answer == {"count": count, "max_model_len": CONTEXT, "tokens": tokens, "token_strs": None}


async def test_tokens_are_spelled_where_asked_for(client: httpx2.AsyncClient) -> None:
    body = {"model": MODEL, "prompt": "one two", "return_token_strs": True}
    assert (await client.post("/v1/tokenize", json=body)).json()["token_strs"] == ["t100", "t101"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "prompt"),
        ({"messages": [{"role": "user", "content": "b"}], "add_special_tokens": False}, "add_special_tokens"),
        ({"messages": [{"role": "user", "content": "b"}], "add_generation_prompt": False}, "add_generation_prompt"),
        ({"prompt": "half \ud83d"}, "prompt"),
        ({"prompt": "a", "model": "nope"}, "model"),
        ({"prompt": " ".join("word" for _ in range(CONTEXT))}, "messages"),
    ],
)
async def test_mistakes_are_named(client: httpx2.AsyncClient, body: dict[str, Any], param: str) -> None:
    content = json.dumps({"model": MODEL, **body})
    answer = await client.post("/v1/tokenize", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"] == param


async def test_tokens_become_text(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/detokenize", json={"model": MODEL, "tokens": [5, 6]})
    assert answer.json() == {"prompt": "t5 t6"}
    wrong = await client.post("/v1/detokenize", json={"model": MODEL, "tokens": [-1]})
    assert wrong.json()["error"]["param"] == "tokens[0]"


def test_on_the_real_model(server: Server) -> None:
    with httpx2.Client(base_url=server.url, timeout=WAIT_SECONDS) as http:
        text = "A myna is a bird \U0001f426 <|im_end|>"
        whole = http.post("/v1/tokenize", json={"model": "default", "prompt": text, "return_token_strs": True}).json()
        assert whole["count"] == len(whole["tokens"]) == len(whole["token_strs"])
        assert "<|im_end|>" not in whole["token_strs"], "a text holds no control tokens"
        back = http.post("/v1/detokenize", json={"model": "default", "tokens": whole["tokens"]}).json()
        assert back == {"prompt": text}
        messages = [{"role": "user", "content": "Hi"}]
        chat = http.post("/v1/tokenize", json={"model": "default", "messages": messages}).json()
        answer = http.post("/v1/chat/completions", json={"model": "default", "messages": messages, "max_tokens": 1})
        assert chat["count"] == answer.json()["usage"]["prompt_tokens"]
