"""The table of every parameter in docs/api.md: held to the official client's methods and to what the routes take."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from dataclasses import replace
from typing import Any, NamedTuple

import httpx2
import openai.resources
import openai.types.chat as types
import pytest
from fastapi import FastAPI
from openai.types.chat.chat_completion_content_part_param import File

from myna.engine.request import GenerationRequest
from tests.server.openai.test_missing import DOCUMENT, documented
from tests.server.scripted import MODEL, ScriptedBackend

STATES = ("supported", "in part", "no effect", "refused", "extension")
TRANSPORT = {"extra_headers", "extra_query", "extra_body", "timeout"}
HELPERS = {"parse"}
"""Methods with parameters of the client's own, beside the plain one for the same endpoint."""
BETA = "openai.resources.beta.responses"
"""Responses of several agents: asked for with ``?beta=true``, which no route here knows and all refuse."""

_CALL = re.compile(
    r"self\._(?P<method>get_api_list|get|post|put|patch|delete)\(\s*(?:path_template\(\s*)?f?\"(?P<path>/[^\"?]*)"
)

Endpoint = tuple[str, str]


class Parameter(NamedTuple):
    """What the document says of one."""

    state: str
    reason: str


def normalised(method: str, path: str) -> Endpoint:
    return method.upper(), re.sub(r"\{[^}]*\}", "x", path)


def official() -> dict[Endpoint, set[str]]:
    """The parameters of every endpoint, as keywords of the official client's methods."""
    found: dict[Endpoint, set[str]] = {}
    for module in pkgutil.walk_packages(openai.resources.__path__, f"{openai.resources.__name__}."):
        if module.name.startswith(BETA):
            continue
        loaded = importlib.import_module(module.name)
        for _, resource in inspect.getmembers(loaded, inspect.isclass):
            if resource.__module__ == loaded.__name__:
                for name, method in inspect.getmembers(resource, inspect.isfunction):
                    if name not in HELPERS:
                        _add(found, method)
    return found


def _add(found: dict[Endpoint, set[str]], method: object) -> None:
    source = inspect.getsource(method)  # type: ignore[arg-type]
    parameters = inspect.signature(method).parameters.values()  # type: ignore[arg-type]
    keywords = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} - TRANSPORT
    for call in _CALL.finditer(source):
        verb = call["method"]
        if verb == "get_api_list":
            named = re.search(r'method="(\w+)"', source)
            verb = named[1] if named else "get"
        endpoint = normalised(verb, f"/v1{call['path']}")
        found.setdefault(endpoint, set()).update(keywords - set(re.findall(r"\{(\w+)", call["path"])))


def table() -> dict[Endpoint, dict[str, Parameter]]:
    """The document's rows: endpoint, parameters, state, reason."""
    section = DOCUMENT.read_text(encoding="utf-8").partition("## Every parameter")[2].partition("\n##")[0]
    found: dict[Endpoint, dict[str, Parameter]] = defaultdict(dict)
    for line in section.splitlines():
        if line.startswith("| `"):
            endpoint, names, state, reason = (cell.strip() for cell in line.removesuffix("|").split("|")[1:])
            method, path = endpoint.strip("`").split(" ")
            for name in re.findall(r"`(\w+)`", names):
                parameters = found[normalised(method, path)]
                assert name not in parameters, f"{name} of {endpoint} is in two rows"
                parameters[name] = Parameter(state, reason.replace("`", ""))
    return found


def built() -> set[Endpoint]:
    rows = [row[0].strip("`").split(" ") for row in documented() if row[1] == "supported"]
    return {normalised(method, path) for method, path in rows}


def taken(app: FastAPI) -> dict[Endpoint, set[str]]:
    """Properties of the bodies and names in the queries of all routes, as the OpenAPI document has them."""
    found: dict[Endpoint, set[str]] = {}
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            names = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                names |= set(content["schema"].get("properties", ()))
            found[normalised(method, path)] = {name.partition("[")[0] for name in names}
    return found


@pytest.fixture(scope="module")
def asked() -> dict[Endpoint, set[str]]:
    return official()


def test_the_client_is_read_right(asked: dict[Endpoint, set[str]]) -> None:
    assert {"messages", "model", "store", "stream"} <= asked["POST", "/v1/chat/completions"]
    assert asked["GET", "/v1/conversations/x/items/x"] == {"include"}
    assert len(asked) > 200


def test_every_parameter_of_the_client_is_in_the_table(asked: dict[Endpoint, set[str]]) -> None:
    rows = table()
    assert {row.state for parameters in rows.values() for row in parameters.values()} <= set(STATES)
    for endpoint in built():
        named = {name for name, row in rows.get(endpoint, {}).items() if row.state != "extension"}
        assert named == asked[endpoint], endpoint
    assert set(rows) <= built()


def test_the_table_has_what_the_routes_take(stored_app: FastAPI) -> None:
    schemas = taken(stored_app)
    rows = table()
    for endpoint in built():
        parameters = rows.get(endpoint, {})
        refused = {name for name, row in parameters.items() if row.state == "refused"}
        elsewhere = {name for name, row in parameters.items() if row.state == "in part"} - schemas[endpoint]
        assert schemas[endpoint] == set(parameters) - refused - elsewhere, endpoint


async def test_what_is_refused_is_refused_with_its_reason(stored_client: httpx2.AsyncClient) -> None:
    for (method, path), parameters in table().items():
        for name, row in parameters.items():
            if row.state == "refused" or (row.state == "in part" and method == "POST"):
                answer = await (
                    stored_client.get(path, params={name: "?"})
                    if method == "GET"
                    else stored_client.request(method, path, json={name: {"": 0}})
                )
                error = answer.json()["error"]
                assert answer.status_code == 400, (path, name)
                if row.state == "refused" or error["code"] == "unsupported_parameter":
                    assert error["param"] == name
                    assert (row.reason.partition(": ")[2] or row.reason) in error["message"], (path, name)


def test_states_other_than_supported_have_a_reason() -> None:
    for endpoint, parameters in table().items():
        for name, row in parameters.items():
            assert bool(row.reason) or row.state in ("supported", "extension"), (endpoint, name)


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
SAMPLING: dict[str, tuple[dict[str, Any], Any]] = {
    "model": ({}, "another"),
    "n": ({}, 2),
    "stream": ({}, True),
    "stream_options": ({"stream": True}, {"include_usage": True}),
    "temperature": ({}, 0.5),
    "top_p": ({}, 0.5),
    "seed": ({}, 5),
    "stop": ({}, "there"),
    "frequency_penalty": ({}, 0.5),
    "presence_penalty": ({}, 0.5),
    "logit_bias": ({}, {"5": 1}),
    "max_tokens": ({}, 1),
    "response_format": ({}, {"type": "json_object"}),
    "top_k": ({}, 5),
    "min_p": ({}, 0.5),
    "repetition_penalty": ({}, 1.5),
    "ignore_eos": ({}, True),
    "grammar": ({}, {"type": "regex", "value": "a"}),
    "adapter": ({}, "pirate"),
}
"""Parameters with what else is sent, and a value that has to make a difference."""
CHAT: dict[str, tuple[dict[str, Any], Any]] = SAMPLING | {
    "messages": ({}, [{"role": "user", "content": "Bye"}]),
    "max_completion_tokens": ({}, 1),
    "logprobs": ({}, True),
    "top_logprobs": ({"logprobs": True}, 2),
    "tools": ({}, [TOOL]),
    "tool_choice": ({"tools": [TOOL]}, "required"),
    "parallel_tool_calls": ({"tools": [TOOL]}, False),
    "reasoning_effort": ({}, "low"),
    "store": ({}, True),
    "metadata": ({}, {"a": "b"}),
    "dialect": ({}, "chatml"),
}
COMPLETION: dict[str, tuple[dict[str, Any], Any]] = SAMPLING | {
    "prompt": ({}, "Bye"),
    "suffix": ({}, "afterwards"),
    "best_of": ({}, 3),
    "echo": ({}, True),
    "logprobs": ({}, 1),
}
HINTS: dict[str, Any] = {
    "user": "ann",
    "safety_identifier": "ann",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prediction": {"type": "content", "content": "Hello"},
    "metadata": {"a": "b"},
}
ROUTES: dict[str, tuple[dict[str, Any], dict[str, tuple[dict[str, Any], Any]]]] = {
    "/v1/chat/completions": ({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}, CHAT),
    "/v1/completions": ({"model": MODEL, "prompt": "Hi"}, COMPLETION),
}


PARAMS = {
    "system": types.ChatCompletionSystemMessageParam,
    "developer": types.ChatCompletionDeveloperMessageParam,
    "user": types.ChatCompletionUserMessageParam,
    "assistant": types.ChatCompletionAssistantMessageParam,
    "tool": types.ChatCompletionToolMessageParam,
    "function": types.ChatCompletionFunctionMessageParam,
    "text": types.ChatCompletionContentPartTextParam,
    "refusal": types.ChatCompletionContentPartRefusalParam,
    "image_url": types.ChatCompletionContentPartImageParam,
    "input_audio": types.ChatCompletionContentPartInputAudioParam,
    "file": File,
}
"""The roles of messages, and the types of their parts."""


async def test_every_field_of_messages_and_parts_is_in_the_table(stored_client: httpx2.AsyncClient) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition("### Messages")[2].partition("\n##")[0]
    named: dict[str, set[str]] = defaultdict(set)
    for line in section.splitlines():
        if line.startswith("| `"):
            kinds, fields, state, reason = (cell.strip() for cell in line.removesuffix("|").split("|")[1:])
            for kind in re.findall(r"`(\w+)`", kinds):
                own = set(re.findall(r"`(\w+)`", fields)) or set(PARAMS[kind].__annotations__)
                named[kind] |= own if state != "extension" else set()
                if state == "refused":
                    for field in own if fields else [""]:
                        message = await _refusal(stored_client, kind, field)
                        assert reason.replace("`", "") in message, (kind, field)
    assert named == {kind: set(params.__annotations__) for kind, params in PARAMS.items()}


async def _refusal(client: httpx2.AsyncClient, kind: str, field: str) -> str:
    """What is said to a message with a field, or to a role, or to a kind of part."""
    message: dict[str, Any] = {"role": "user", "content": [{"type": kind}]}
    if kind in ("system", "developer", "user", "assistant", "tool", "function"):
        message = {"role": kind, "content": "x", "name": "f"} | ({field: {"a": 1}} if field else {})
    answer = await client.post("/v1/chat/completions", json={"model": MODEL, "messages": [message]})
    assert answer.status_code == 400, (kind, field)
    return str(answer.json()["error"]["message"])


async def outcome(
    client: httpx2.AsyncClient, backend: ScriptedBackend, path: str, body: dict[str, Any]
) -> tuple[int, list[GenerationRequest], str, int]:
    """Everything that a parameter may change: status, what the model is asked, the answer, and what is stored."""
    backend.requests.clear()
    answer = await client.post(path, json=body)
    said = re.sub(r'"(chatcmpl|cmpl)-[^"]*"|"created":\d+', "", answer.text)
    stored = (await client.get("/v1/chat/completions?limit=100")).json()["data"]
    return answer.status_code, [replace(request, id="") for request in backend.requests], said, len(stored)


def names_in(state: set[str], path: str) -> set[str]:
    return {name for name, row in table()["POST", path].items() if row.state in state}


@pytest.mark.parametrize("path", ROUTES)
async def test_no_parameter_is_ignored(stored_client: httpx2.AsyncClient, backend: ScriptedBackend, path: str) -> None:
    plain, effects = ROUTES[path]
    hints = names_in({"no effect"}, path) | {
        name for name, row in table()["POST", path].items() if "without effect" in row.reason
    }
    assert set(effects) == names_in({"supported", "extension"}, path) - hints
    for name, (more, value) in effects.items():
        before = await outcome(stored_client, backend, path, plain | more)
        after = await outcome(stored_client, backend, path, plain | more | {name: value})
        assert before[0] == 200, name
        assert before[:3] != after[:3] or after[3] > before[3], name
    before = await outcome(stored_client, backend, path, plain)
    for name in hints:
        assert await outcome(stored_client, backend, path, plain | {name: HINTS[name]}) == before, name
