"""The messages API's fields, events and errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from myna.errors import EngineBusy, EngineCrashed
from tests.server.openai.test_connection import WAIT_SECONDS, receive_until, send
from tests.server.scripted import MODEL, ScriptedBackend

F = {"name": "f", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "u1", "name": "f", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "u1", "content": [{"type": "text", "text": "2"}]}
HI = {"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream; each one's name is its type."""
    found = []
    for frame in text.strip().split("\n\n"):
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


async def test_the_events_of_a_stream(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/messages", json=HI | {"stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    start, *middle, end, stop = events(answer.text)
    assert (
        start["message"].items() >= {"type": "message", "role": "assistant", "content": [], "stop_reason": None}.items()
    )
    assert middle == [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in ("Hello", " there", "!")
        ),
        {"type": "content_block_stop", "index": 0},
    ]
    assert end == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 3},
    }
    assert stop == {"type": "message_stop"}


async def test_turns_of_one_side_are_one_and_the_last_is_carried_on(
    client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
        {"role": "user", "content": "C"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "…", "signature": "s"}]},
        {"role": "assistant", "content": "D"},
    ]
    body = HI | {"messages": messages, "system": "S", "top_k": 5, "stop_sequences": ["x"]}
    assert (await client.post("/v1/messages", json=body)).status_code == 200
    [request] = backend.requests
    assert [(message.role, message.text) for message in request.messages or ()] == [
        ("system", "S"),
        ("user", "ABC"),
        ("assistant", "D"),
    ]
    assert request.continue_last
    assert (request.params.top_k, request.params.stop, request.params.max_tokens) == (5, ("x",), 10)


async def test_uses_and_results_reach_the_model(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    messages = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": [{"type": "text", "text": "Well:"}, USE]},
        {"role": "user", "content": [RESULT, {"type": "text", "text": "And now?"}]},
    ]
    choice = {"type": "any", "disable_parallel_tool_use": True}
    body = HI | {"messages": messages, "tools": [F], "tool_choice": choice}
    assert (await client.post("/v1/messages", json=body)).status_code == 200
    [request] = backend.requests
    assert request.messages is not None
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "user"]
    assert [(call.id, call.name, call.arguments) for call in request.messages[1].calls] == [("u1", "f", '{"a": 1}')]
    assert request.messages[2].text == "2"
    assert ([tool.name for tool in request.tools], request.must_call, request.parallel_calls) == (["f"], True, False)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"max_tokens": None}, "'max_tokens'"),
        ({"max_tokens": 0}, "'max_tokens'"),
        ({"temperature": 1.5}, "'temperature'"),
        ({"colour": "red"}, "'colour'"),
        ({"tools": [{"name": "no name", "input_schema": {}}]}, "'tools[0]'"),
        ({"tools": [F, F]}, "another tool's name"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "run by Anthropic alone"),
        ({"tools": [F], "tool_choice": {"type": "tool", "name": "g"}}, "'tool_choice'"),
        ({"tool_choice": {"type": "any"}}, "'tool_choice'"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "of no tool_use"),
        ({"messages": [{"role": "assistant", "content": [USE]}]}, "no tool_result"),
        ({"messages": [{"role": "assistant", "content": [USE]}, {"role": "user", "content": "x"}]}, "no tool_result"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "'thinking' is not supported"),
        ({"stop_sequences": [""]}, "'stop_sequences'"),
        ({"messages": []}, "'messages'"),
        ({"messages": [{"role": "system", "content": "x"}]}, "'messages[0].role'"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "'messages[0].content[0].type' image"),
        ({"messages": [{"role": "user", "content": 5}]}, "'messages[0].content'"),
        ({"system": {"type": "text"}}, "'system'"),
    ],
)
async def test_mistakes_are_named_in_anthropics_shape(
    client: httpx2.AsyncClient, extra: dict[str, Any], words: str
) -> None:
    answer = await client.post("/v1/messages", json=HI | extra)
    assert answer.status_code == 400
    error = answer.json()
    assert error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    assert words in error["error"]["message"]


async def test_failures_at_first_and_in_the_middle(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.late_failure = EngineCrashed("It broke.")
    streamed = await client.post("/v1/messages", json=HI | {"stream": True})
    assert events(streamed.text)[-1] == {"type": "error", "error": {"type": "api_error", "message": "It broke."}}
    backend.failure = EngineBusy("Too many wait.")
    refused = await client.post("/v1/messages", json=HI)
    assert refused.status_code == 529
    assert refused.json()["error"]["type"] == "overloaded_error"
    assert refused.headers["retry-after"]


@pytest.mark.parametrize("stream", [True, False])
def test_the_client_goes(address: str, backend: ScriptedBackend, stream: bool) -> None:
    backend.gate = asyncio.Event()
    connection = send(address, "/v1/messages", HI | {"stream": stream})
    if stream:
        receive_until(connection, b'"Hello"')
    else:
        assert backend.paused.wait(WAIT_SECONDS)
    connection.close()
    assert backend.cancelled_event.wait(WAIT_SECONDS)
