"""Embeddings over HTTP: every shape of input, both encodings, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import httpx2
import openai
import pytest

from myna.errors import InvalidParameter, PromptTooLong
from myna.server.limits import MAX_EMBEDDING_INPUTS
from tests.server.openai.test_connection import WAIT_SECONDS, send
from tests.server.scripted import MODEL, ScriptedBackend

EMBEDDINGS = "/v1/embeddings"


async def embed(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(EMBEDDINGS, json={"model": MODEL} | body)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_official_client_embeds(address: str, backend: ScriptedBackend) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        answer = client.embeddings.create(model=MODEL, input=["one", "and two more"])
        plain = client.embeddings.create(model=MODEL, input="one", encoding_format="float", dimensions=2, user="ada")
    assert [each.embedding for each in answer.data] == [[1.0, 0.0, -0.5], [3.0, 1.0, -0.5]]
    assert [each.index for each in answer.data] == [0, 1]
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (4, 4)
    assert answer.model == MODEL
    assert plain.data[0].embedding == [1.0, 0.0]
    assert backend.embeddings[1].dimensions == 2


async def test_base64_is_of_little_endian_float32(client: httpx2.AsyncClient) -> None:
    answer = await embed(client, input="a b", encoding_format="base64")
    assert struct.unpack("<3f", base64.b64decode(answer["data"][0]["embedding"])) == (2.0, 0.0, -0.5)


@pytest.mark.parametrize(
    ("input_", "texts", "token_ids"),
    [
        ("a b", ("a b",), None),
        (["a", "b c"], ("a", "b c"), None),
        ([1, 2, 3], None, ((1, 2, 3),)),
        ([[1], [2, 3]], None, ((1,), (2, 3))),
    ],
)
async def test_every_shape_of_input(
    client: httpx2.AsyncClient, backend: ScriptedBackend, input_: Any, texts: Any, token_ids: Any
) -> None:
    answer = await embed(client, input=input_)
    assert answer["object"] == "list"
    assert {each["object"] for each in answer["data"]} == {"embedding"}
    assert backend.embeddings[0].texts == texts
    assert backend.embeddings[0].token_ids == token_ids


@pytest.mark.parametrize(
    "input_",
    [
        "", [], [[]], ["a", ""], ["a", 1], [[1], "a"], [-1], [True], [1.5], {"a": 1}, 7,
        ["a"] * (MAX_EMBEDDING_INPUTS + 1),
    ],
)  # fmt: skip
async def test_a_malformed_input_is_refused_by_name(client: httpx2.AsyncClient, input_: Any) -> None:
    response = await client.post(EMBEDDINGS, json={"model": MODEL, "input": input_})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input"


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "3"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"temperature": 1}, "temperature"),
        ({"model": None}, "model"),
        ({"input": None}, "input"),
    ],
)
async def test_parameters_are_refused_by_name(client: httpx2.AsyncClient, extra: dict[str, Any], param: str) -> None:
    response = await client.post(EMBEDDINGS, json={"model": MODEL, "input": "a"} | extra)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_what_the_model_refuses_names_it_too(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.failure = PromptTooLong(700, 512, param="input[1]")
    response = await client.post(EMBEDDINGS, json={"model": MODEL, "input": ["a", "b"]})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input[1]")
    assert "700" in error["message"]
    assert "512" in error["message"]
    backend.failure = InvalidParameter("This model writes text.", param="model")
    response = await client.post(EMBEDDINGS, json={"model": MODEL, "input": "a"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")


async def test_an_unknown_model_is_not_found(client: httpx2.AsyncClient) -> None:
    response = await client.post(EMBEDDINGS, json={"model": "nope", "input": "a"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


def test_a_client_that_goes_away_cancels_its_texts(address: str, backend: ScriptedBackend) -> None:
    backend.gate, backend.gate_prompt = asyncio.Event(), True
    connection = send(address, EMBEDDINGS, {"model": MODEL, "input": "a"})
    assert backend.paused.wait(WAIT_SECONDS)
    connection.close()
    assert backend.cancelled_event.wait(WAIT_SECONDS)
