"""Responses of the real model, through the official client: always the likeliest, which are the same each time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import openai
import pytest
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from myna.engine.blocks import BLOCK_SIZE
from tests.patience import WAIT_SECONDS
from tests.processes import Server

MODEL = "smollm2:135m"
ASK = "Name three birds that can talk, and say something of each."


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_the_next_turn_finds_the_last_one_computed(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input=ASK, max_output_tokens=60, temperature=0)
    counted = client.responses.input_tokens.count(model=MODEL, input="Go on.", previous_response_id=first.id)
    with client.responses.stream(
        model=MODEL, input="Go on.", previous_response_id=first.id, max_output_tokens=8, temperature=0
    ) as stream:
        second = list(stream)[-1]
    assert second.type == "response.incomplete"
    assert first.usage is not None
    assert second.response.usage is not None
    usage = second.response.usage
    assert usage.input_tokens == counted.input_tokens
    known = first.usage.input_tokens + first.usage.output_tokens
    # All whole blocks of what was computed, but for the token that was sampled last.
    assert usage.input_tokens_details.cached_tokens >= (known - 1) // BLOCK_SIZE * BLOCK_SIZE


class Bird(BaseModel):
    name: str
    legs: int


def test_forms_and_calls(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model=MODEL, input="Describe a myna.", text_format=Bird, temperature=0)
    assert isinstance(parsed.output_parsed, Bird)
    weather: FunctionToolParam = {
        "type": "function",
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }
    with client.responses.stream(
        model=MODEL,
        input="Weather in Oslo?",
        tools=[weather],
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
    ) as stream:
        answer = stream.get_final_response()
    (call,) = answer.output
    assert call.type == "function_call"
    result = client.responses.create(
        model=MODEL,
        previous_response_id=answer.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "It rains."}],
        max_output_tokens=10,
        temperature=0,
    )
    assert result.output_text


def test_in_background(client: openai.OpenAI) -> None:
    asked = client.responses.create(model=MODEL, input=ASK, background=True, max_output_tokens=20, temperature=0)
    with client.responses.stream(response_id=asked.id) as stream:
        last = list(stream)[-1]
    assert last.type == "response.incomplete"
    assert client.responses.retrieve(asked.id).output_text == last.response.output_text
    endless = client.responses.create(model=MODEL, input=ASK, background=True, extra_body={"ignore_eos": True})
    deadline = time.monotonic() + WAIT_SECONDS
    while not client.responses.retrieve(endless.id).output_text and time.monotonic() < deadline:
        pass
    cancelled = client.responses.cancel(endless.id)
    assert cancelled.status == "cancelled"
    assert cancelled.output_text


def test_a_compaction_is_gone_on_from(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input=ASK, max_output_tokens=60, temperature=0)
    compacted = client.responses.compact(model=MODEL, previous_response_id=first.id)
    assert compacted.output[-1].type == "compaction"
    assert compacted.output[-1].encrypted_content
    items = [item.to_dict(warnings=False) for item in compacted.output]
    answer = client.responses.create(
        model=MODEL,
        input=[*items, {"role": "user", "content": "Go on."}],  # type: ignore[list-item]
        max_output_tokens=8,
        temperature=0,
    )
    assert answer.output_text
