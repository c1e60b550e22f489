"""Anthropic's own client against the real server and model."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import httpx2
import pytest

from tests.patience import WAIT_SECONDS
from tests.processes import Server

MODEL = "smollm2:135m"
GREEDY = {"temperature": 0}
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def client(server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="myna", max_retries=0) as client:
        yield client


def test_a_message_whole_and_streamed(client: anthropic.Anthropic, server: Server) -> None:
    asked = {"model": MODEL, "messages": QUESTION, "max_tokens": 20, "extra_body": GREEDY}
    whole = client.messages.create(**asked)
    body = {"model": MODEL, "messages": QUESTION, "max_tokens": 20} | GREEDY
    same = httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=WAIT_SECONDS).json()
    assert [block.text for block in whole.content] == [same["choices"][0]["message"]["content"]]
    assert whole.usage.input_tokens + whole.usage.cache_read_input_tokens == same["usage"]["prompt_tokens"]
    assert whole.usage.output_tokens == same["usage"]["completion_tokens"]
    with client.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-1] == "message_stop"
    assert final.content[0].text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_why_a_message_ended(client: anthropic.Anthropic) -> None:
    begun = [*QUESTION, {"role": "assistant", "content": "The capital of France is"}]
    short = client.messages.create(model=MODEL, messages=begun, max_tokens=2, extra_body=GREEDY)
    assert short.stop_reason == "max_tokens"
    assert short.content[0].text.startswith(" Paris")
    stopped = client.messages.create(
        model=MODEL, messages=begun, max_tokens=9, extra_body=GREEDY, stop_sequences=["aris"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "aris")
    assert stopped.content[0].text == " P"


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    counted = client.messages.count_tokens(model=MODEL, messages=QUESTION, system=system).input_tokens
    answer = client.messages.create(model=MODEL, messages=QUESTION, system=system, max_tokens=1).usage
    assert counted == answer.input_tokens + answer.cache_read_input_tokens
    long = [{"role": "user", "content": "word " * 10_000}]
    assert client.messages.count_tokens(model=MODEL, messages=long).input_tokens > 10_000
    with pytest.raises(anthropic.BadRequestError, match="context holds 8192"):
        client.messages.create(model=MODEL, messages=long, max_tokens=1)


def test_a_model_that_is_not_known(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as failure:
        client.messages.create(model="claude", messages=QUESTION, max_tokens=1)
    assert failure.value.body["error"]["type"] == "not_found_error"


TOOL = {
    "name": "weather",
    "description": "Tells the weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
    },
}


def test_a_tool_is_used_and_its_result_is_heard(client: anthropic.Anthropic) -> None:
    asked = {
        "model": MODEL,
        "max_tokens": 80,
        "messages": [{"role": "user", "content": "What is the weather in Oslo?"}],
        "tools": [TOOL],
        "extra_body": GREEDY,
    }
    whole = client.messages.create(**asked, tool_choice={"type": "tool", "name": "weather"})
    [use] = [block for block in whole.content if block.type == "tool_use"]
    assert whole.stop_reason == "tool_use"
    assert use.name == "weather"
    assert isinstance(use.input["city"], str)
    with client.messages.stream(**asked, tool_choice={"type": "tool", "name": "weather"}) as stream:
        streamed = stream.get_final_message()
    assert [block.input for block in streamed.content if block.type == "tool_use"] == [use.input]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "Snow, -5 degrees"}
    history = [
        *asked["messages"],
        {"role": "assistant", "content": whole.content},
        {"role": "user", "content": [result]},
    ]
    answer = client.messages.create(**asked | {"messages": history})
    assert answer.usage.input_tokens + answer.usage.cache_read_input_tokens > whole.usage.input_tokens
