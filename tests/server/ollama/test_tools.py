"""Tools and thoughts through Ollama's own clients, and what is refused of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import ollama
import pytest
from fastapi import FastAPI

from myna.chat import ReasoningPart, TextPart, Tool, ToolCallPart, ToolResultPart
from myna.errors import InvalidParameter
from myna.models.dialects.answer import AnswerSyntax
from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL, ScriptedBackend

ASKED = [{"role": "user", "content": "Weather?"}]
CALLS = AnswerSyntax(calls="hermes")
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo", "days": 2}}\n</tool_call>'


def weather(city: str, days: int) -> str:
    """Tell the weather.

    Args:
        city: where.
        days: how far ahead.
    """
    return f"{city} {days}"


@pytest.fixture
def host(address: str) -> Iterator[ollama.Client]:
    client = ollama.Client(host=address)
    yield client
    client._client.close()


def cut(text: str, size: int = 7) -> tuple[str, ...]:
    return tuple(text[at : at + size] for at in range(0, len(text), size))


def test_a_call_comes_whole_beside_what_is_said(host: ollama.Client, backend: ScriptedBackend) -> None:
    backend.answer, backend.syntax = cut(f"Let me look.\n{CALL}"), CALLS
    answer = host.chat(MODEL, ASKED, tools=[weather])
    assert answer.message.content == "Let me look."
    [call] = answer.message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Oslo", "days": 2})
    assert answer.done_reason == "stop"
    [tool] = backend.requests[0].tools
    assert (tool.name, tool.description, tool.strict) == ("weather", "Tell the weather.", False)
    assert tool.parameters is not None
    assert tool.parameters["required"] == ["city", "days"]
    assert not backend.requests[0].must_call


def test_a_stream_tells_each_call_once_and_as_soon_as_it_is_whole(
    host: ollama.Client, backend: ScriptedBackend
) -> None:
    backend.answer, backend.syntax = cut(f"{CALL}\n{CALL.replace('Oslo', 'Rome')}"), CALLS
    chunks = list(host.chat(MODEL, ASKED, tools=[weather], stream=True))
    cities = [[call.function.arguments["city"] for call in chunk.message.tool_calls or ()] for chunk in chunks]
    assert [each for each in cities if each] == [["Oslo"], ["Rome"]]
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert not chunks[-1].message.tool_calls
    assert "".join(chunk.message.content or "" for chunk in chunks).strip() == ""


async def test_the_other_client_does_the_same(address: str, backend: ScriptedBackend) -> None:
    backend.answer, backend.syntax = cut(CALL), CALLS
    client = ollama.AsyncClient(host=address)
    answer = await client.chat(MODEL, ASKED, tools=[weather])
    assert [call.function.name for call in answer.message.tool_calls or ()] == ["weather"]
    streamed = [chunk async for chunk in await client.chat(MODEL, ASKED, tools=[weather], stream=True)]
    assert sum(len(chunk.message.tool_calls or ()) for chunk in streamed) == 1
    await client._client.aclose()


async def test_calls_have_an_id_and_their_number(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.answer, backend.syntax = cut(f"{CALL}\n{CALL}"), CALLS
    tool = {"type": "function", "function": {"name": "weather", "new": 1}, "new": 1}
    body = {"model": MODEL, "messages": ASKED, "tools": [tool], "stream": False}
    calls = (await client.post("/api/chat", json=body)).json()["message"]["tool_calls"]
    assert [call["function"]["index"] for call in calls] == [0, 1]
    assert len({call["id"] for call in calls}) == 2
    assert backend.requests[0].tools == (Tool("weather"),)


@pytest.mark.parametrize("written", ['{"city": "Os', '{"city": Oslo}'], ids=["cut", "malformed"])
def test_arguments_that_are_no_object_are_text(host: ollama.Client, backend: ScriptedBackend, written: str) -> None:
    backend.answer, backend.syntax = cut('<tool_call>\n{"name": "weather", "arguments": ' + written), CALLS
    answer = host.chat(MODEL, ASKED, tools=[weather])
    assert not answer.message.tool_calls
    assert answer.message.content == '{"name": "weather", "arguments": ' + written


def test_what_was_called_and_answered_is_told_the_model(host: ollama.Client, backend: ScriptedBackend) -> None:
    calls = [{"function": {"name": name, "arguments": {"city": "Oslo"}}} for name in ("weather", "time")]
    history: list[Any] = [
        *ASKED,
        {"role": "assistant", "thinking": "Look.", "tool_calls": calls},
        {"role": "tool", "tool_name": "time", "content": "noon"},
        {"role": "tool", "content": "rain"},
        {"role": "assistant", "content": "So.", "tool_calls": [{"id": "c9", **calls[0]}]},
        {"role": "tool", "tool_call_id": "c9", "content": "snow"},
    ]
    host.chat(MODEL, history[:4])
    # The client drops ids, which other clients send.
    httpx2.post(
        f"{host._client.base_url}/api/chat",
        json={"model": MODEL, "messages": history, "stream": False},
        timeout=WAIT_SECONDS,
    )
    first, second = (request.messages or () for request in backend.requests)
    thought, one, two = first[1].parts
    assert thought == ReasoningPart("Look.")
    assert isinstance(one, ToolCallPart)
    assert isinstance(two, ToolCallPart)
    assert (one.name, json.loads(one.arguments), two.name) == ("weather", {"city": "Oslo"}, "time")
    assert [message.parts for message in first[2:]] == [
        (ToolResultPart(two.id, "noon"),),
        (ToolResultPart(one.id, "rain"),),
    ]
    assert second[4].parts == (TextPart("So."), ToolCallPart("c9", "weather", '{"city": "Oslo"}'))
    assert second[5].parts == (ToolResultPart("c9", "snow"),)


@pytest.mark.parametrize(
    ("think", "effort"),
    [(None, None), (False, "none"), (True, "on"), ("low", "low"), ("high", "high"), ("max", "xhigh")],
)
async def test_how_much_to_think(client: httpx2.AsyncClient, backend: ScriptedBackend, think: Any, effort: str) -> None:
    await client.post("/api/chat", json={"model": MODEL, "messages": ASKED, "think": think})
    await client.post("/api/generate", json={"model": MODEL, "prompt": "Hi", "think": think})
    assert [request.reasoning_effort for request in backend.requests] == [effort, effort]


def test_thoughts_come_beside_the_answer(host: ollama.Client, backend: ScriptedBackend) -> None:
    backend.answer, backend.syntax = cut("<think>Hm.</think>\n\nHi."), AnswerSyntax(thinks=True)
    told = host.generate(MODEL, "Hi", think=True)
    assert (told.thinking, told.response) == ("Hm.", "Hi.")
    chunks = list(host.chat(MODEL, ASKED, think=True, stream=True))
    assert "".join(chunk.message.thinking or "" for chunk in chunks) == "Hm."
    assert "".join(chunk.message.content or "" for chunk in chunks) == "Hi."


def test_a_model_that_cannot_be_told_how_much_to_think_says_so(host: ollama.Client, backend: ScriptedBackend) -> None:
    backend.failure = InvalidParameter("It cannot be told.", param="reasoning_effort")
    with pytest.raises(ollama.ResponseError, match="does not support thinking so") as failure:
        host.chat(MODEL, ASKED, think="low")
    assert failure.value.status_code == 400


def test_a_gap_is_filled(host: ollama.Client, backend: ScriptedBackend) -> None:
    host.generate(MODEL, "def f(", suffix="return", system="Be short.")
    [request] = backend.requests
    assert (request.text, request.suffix, request.messages) == ("def f(", "return", None)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"messages": [*ASKED, {"role": "tool", "content": "rain"}]}, "messages[1]"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a"}}]}]}, "tool_calls[0]"),
        ({"messages": [{"role": "assistant", "tool_calls": {}, "content": 1}]}, "content"),
        ({"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, "images"),
        ({"messages": ASKED, "tools": [{"type": "function", "function": {"name": "a b"}}]}, "name"),
        ({"messages": ASKED, "tools": [{"type": "function", "function": {"name": "a"}}] * 2}, "another tool's"),
        ({"messages": ASKED, "tools": ["a"]}, "tools[0]"),
        ({"messages": ASKED, "think": "very"}, "think"),
        ({"messages": ASKED, "think": [1]}, "think"),
    ],
)
async def test_what_is_malformed_is_refused_by_name(
    client: httpx2.AsyncClient, body: dict[str, Any], named: str
) -> None:
    answer = await client.post("/api/chat", json={"model": MODEL} | body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


@pytest.mark.parametrize(
    ("described", "capabilities"),
    [
        ({"dialect": "plain"}, ["completion"]),
        ({"dialect": "chatml", "infill": True}, ["completion", "insert", "tools"]),
        ({"dialect": "its own chat template", "template": "…<think>…"}, ["completion", "tools", "thinking"]),
        ({"kind": "encoder"}, ["embedding"]),
        ({"kind": "reranker"}, []),
    ],
)
def test_editors_are_told_what_a_model_can_do(
    host: ollama.Client,
    app: FastAPI,
    tmp_path: Path,
    described: dict[str, Any],
    capabilities: list[str],
) -> None:
    model = SimpleNamespace(title="A model", architecture="llama", parameters=7, licence=None, context=64, **described)
    app.state.hub = SimpleNamespace(find=lambda name: tmp_path)
    app.state.api = SimpleNamespace(library=SimpleNamespace(describe=lambda path: model))
    shown = host.show(MODEL)
    assert shown.capabilities == capabilities
    assert shown.modelinfo == {
        "general.architecture": "llama",
        "general.basename": "A model",
        "general.parameter_count": 7,
        "llama.context_length": 64,
    }
