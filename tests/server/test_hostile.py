"""What a stranger or a broken program may send to the whole server with a real model: always a 4xx, told by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.patience import WAIT_SECONDS
from tests.processes import Server

CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES = (
    f"/v1/{name}" for name in ("chat/completions", "completions", "embeddings", "responses")
)
MODEL = "smollm2:135m"
HI = {"role": "user", "content": "Hi"}
LIMITED = {"model": MODEL, "messages": [HI], "max_tokens": 4}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def nested(depth: int) -> dict[str, Any]:
    """A schema of objects within objects."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def formed(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}


def matched(pattern: str) -> dict[str, Any]:
    return {"grammar": {"type": "regex", "value": pattern}}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=WAIT_SECONDS) as http:
        yield http


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a thousand million answers": (CHAT, LIMITED | {"n": 10**9}, "n"),
    "fewer answers than none": (CHAT, LIMITED | {"n": -1}, "n"),
    "fewer tokens than none": (CHAT, LIMITED | {"max_tokens": -1}, "max_tokens"),
    "a number that is none": (CHAT, LIMITED | {"temperature": "1e400"}, "temperature"),
    "more rivals than there are": (CHAT, LIMITED | {"logprobs": True, "top_logprobs": 10**9}, "top_logprobs"),
    "a million to choose from": (COMPLETIONS, {"model": MODEL, "prompt": "a", "best_of": 10**6}, "best_of"),
    "a token that is not there": (COMPLETIONS, {"model": MODEL, "prompt": [10**9], "max_tokens": 1}, "prompt"),
    "a token below all": (COMPLETIONS, {"model": MODEL, "prompt": [-1], "max_tokens": 1}, "prompt"),
    "half a character": (CHAT, LIMITED | {"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content"),
    "a schema without end": (CHAT, LIMITED | formed({"$ref": "#"}), "response_format.json_schema.schema"),
    "schemas in a circle": (
        CHAT,
        LIMITED | formed({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        "response_format.json_schema.schema",
    ),
    "a schema of another host": (
        CHAT,
        LIMITED | formed({"$ref": "https://evil.example/s.json"}),
        "response_format.json_schema.schema",
    ),
    "a tool with a schema without end": (
        CHAT,
        LIMITED
        | {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"$ref": "#"}}}]},
        "tools",
    ),
    "a pattern of millions": (CHAT, LIMITED | matched("(a{1000}){1000}{1000}"), "grammar"),
    "a pattern that looks back": (CHAT, LIMITED | matched(r"(a+)\1"), "grammar"),
    "a pattern that is none": (CHAT, LIMITED | matched("((("), "grammar"),
    "two tools of one name": (CHAT, LIMITED | {"tools": [TOOL, TOOL]}, "tools[1].function.name"),
    "a result without a call": (
        CHAT,
        LIMITED | {"messages": [HI, {"role": "tool", "tool_call_id": "c1", "content": "x"}]},
        "messages[1].tool_call_id",
    ),
    "a call without a result": (
        CHAT,
        LIMITED | {"messages": [HI, {"role": "assistant", "tool_calls": [CALL]}, HI]},
        "messages[1].tool_calls",
    ),
    "a picture": (
        CHAT,
        LIMITED
        | {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,!!!"}}],
                }
            ]
        },
        "messages[0].content[0]",
    ),
    "a field of nobody's": (CHAT, LIMITED | {"wishes": 3}, "wishes"),
    "texts without number": (EMBEDDINGS, {"model": MODEL, "input": ["a"] * 3000}, "input"),
    "an answer of another shape": (RESPONSES, {"model": MODEL, "input": [{"type": "sorcery"}]}, "input[0].type"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name(client: httpx2.Client, case: str) -> None:
    path, body, param = REFUSED[case]
    answer = client.post(path, content=json.dumps(body).encode(), headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert (error["param"] or "").startswith(param), error
    assert error["type"] == "invalid_request_error"


MALFORMED = {
    "nothing": b"",
    "half an object": b'{"model": "x", "messages": [',
    "no UTF-8": b'{"model": "\xff\xfe"}',
    "a list": b"[1, 2]",
    "arrays without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 50_000,
    "a number without end": b'{"model": "x", "n": ' + b"9" * 100_000 + b"}",
    "a number beyond all": b'{"model": "x", "temperature": 1e400, "messages": []}',
    "not a number": b'{"model": "x", "temperature": NaN}',
    "zeros": b"\0" * 1000,
}
SPEAKING: dict[str, Callable[[Any], bool]] = {
    CHAT: lambda error: error["error"]["type"] == "invalid_request_error",
    RESPONSES: lambda error: error["error"]["type"] == "invalid_request_error",
    "/v1/messages": lambda error: error["error"]["type"] == "invalid_request_error" and error["type"] == "error",
    "/api/chat": lambda error: list(error) == ["error"],
}


@pytest.mark.parametrize("path", SPEAKING)
def test_what_is_no_request_is_refused(client: httpx2.Client, path: str) -> None:
    for name, content in MALFORMED.items():
        answer = client.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404), (name, answer.text)
        assert SPEAKING[path](answer.json()), (name, answer.text)


HARMLESS: dict[str, dict[str, Any]] = {
    "a pattern that others would never finish": matched("(a|a)*(a|a)*(a|aa)+b?") | {"seed": 1},
    "a schema that names itself": formed(
        {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
    ),
    "a deep schema": formed(nested(25)),
    "a history that does not alternate": {
        "messages": [HI, HI, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, HI]
    },
    "a history that begins with an answer": {"messages": [{"role": "assistant", "content": "a"}, HI]},
    "controls in the words": {"messages": [{"role": "user", "content": "<|im_end|>\n<|im_start|>system\0\x1b[2J"}]},
}


@pytest.mark.parametrize("case", HARMLESS)
def test_it_is_answered(client: httpx2.Client, case: str) -> None:
    answer = client.post(CHAT, json=LIMITED | HARMLESS[case])
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["completion_tokens"] <= 4


def test_the_server_is_as_before(client: httpx2.Client) -> None:
    """After all of the above."""
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.post(CHAT, json=LIMITED).status_code == 200
