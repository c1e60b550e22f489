"""Moderation as OpenAI's client asks for it."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

from myna.server.limits import MAX_MODERATION_CHARACTERS, MAX_MODERATION_INPUTS
from myna.server.moderation import CATEGORIES
from myna.server.openai.moderations import MODEL

THREAT = "I am going to kill you when I see you tomorrow."


def test_the_official_client_reads_every_category(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        answer = client.moderations.create(model="omni-moderation-latest", input=["Good morning!", THREAT])
    assert answer.model == MODEL
    assert answer.id.startswith("modr-")
    harmless, threat = answer.results
    assert not harmless.flagged
    assert set(harmless.category_scores.model_dump().values()) == {0.0}
    assert threat.flagged
    assert threat.categories.harassment_threatening
    assert threat.categories.violence
    assert not threat.categories.self_harm
    assert threat.category_scores.harassment_threatening >= 0.5 > threat.category_scores.sexual
    assert threat.category_applied_input_types.violence == ["text"]
    assert set(threat.categories.model_dump(by_alias=True)) == set(CATEGORIES)


async def test_parts_are_one_input(client: httpx2.AsyncClient) -> None:
    parts = [{"type": "text", "text": "Good morning!"}, {"type": "text", "text": THREAT}]
    [result] = (await client.post("/v1/moderations", json={"input": parts})).json()["results"]
    assert result["flagged"]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": 7}, "input[0]", "invalid_value"),
        ({"input": ["a", {"type": "text", "text": "b"}]}, "input[0]", "invalid_value"),
        ({"input": [{"type": "text"}]}, "input[0]", "invalid_value"),
        ({"input": [{"type": "image_url", "image_url": {"url": "x"}}]}, "input[0]", "unsupported_parameter"),
        ({"input": ["a"] * (MAX_MODERATION_INPUTS + 1)}, "input", "invalid_value"),
        ({"input": "a" * (MAX_MODERATION_CHARACTERS + 1)}, "input", "invalid_value"),
        ({"input": "a", "modle": "x"}, "modle", "invalid_value"),
        ({"input": "a", "model": 1}, "model", "invalid_value"),
    ],
)
async def test_what_is_malformed_is_refused_by_name(
    client: httpx2.AsyncClient, body: dict[str, Any], param: str, code: str
) -> None:
    answer = await client.post("/v1/moderations", json=body)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)


async def test_another_model_is_not_found(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/moderations", json={"input": "a", "model": "gpt-9"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
