"""A sweep over requests that are wrong: each is refused with 400, the field's name and what is allowed."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.scripted import MODEL, ScriptedBackend

CHAT = "/v1/chat/completions"
GOOD: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}

OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("temperature", -0.1),
    ("temperature", 2.1),
    ("temperature", "1"),
    ("temperature", True),
    ("top_p", 0),
    ("top_p", 1.01),
    ("top_k", -2),
    ("top_k", 1.5),
    ("min_p", -1),
    ("min_p", 2),
    ("repetition_penalty", 0),
    ("presence_penalty", 2.5),
    ("frequency_penalty", -2.5),
    ("seed", 2**64),
    ("seed", -(2**63) - 1),
    ("seed", 1.5),
    ("max_tokens", 0),
    ("max_tokens", -5),
    ("max_tokens", 10**400),
    ("max_completion_tokens", 0),
    ("stop", ["x"] * 17),
    ("stop", [""]),
    ("stop", ""),
    ("stop", 5),
    ("stop", ["a", 1]),
    ("stop", "x" * 257),
    ("stop", "\ud800"),
    ("logit_bias", {"x": 1}),
    ("logit_bias", {"-1": 1}),
    ("logit_bias", {"1": 101}),
    ("logit_bias", {str(token): 1 for token in range(1025)}),
    ("logit_bias", [1]),
    ("stream", "yes"),
    ("stream_options", {"include_usage": True}),
    ("ignore_eos", 1),
    ("n", 0),
    ("n", 129),
    ("n", 10**9),
    ("n", "2"),
    ("prediction", "text"),
    ("response_format", "json"),
    ("grammar", "[a-z]"),
    ("dialect", ""),
    ("adapter", 7),
    ("logprobs", 3),
    ("top_logprobs", 21),
    ("top_logprobs", 1),
    ("tools", {}),
    ("tools", ["look"]),
    ("tool_choice", "required"),
    ("parallel_tool_calls", True),
    ("reasoning_effort", "much"),
    ("model", ""),
    ("model", 7),
    ("user", "x" * 600),
    ("metadata", {"a": 1}),
]

NOT_YET: list[tuple[str, Any]] = [
    ("functions", [{}]),
    ("function_call", "auto"),
    ("modalities", ["audio"]),
    ("audio", {}),
    ("verbosity", "low"),
    ("moderation", {}),
    ("service_tier", "priority"),
    ("web_search_options", {}),
]


async def post(client: httpx2.AsyncClient, path: str, body: Any) -> httpx2.Response:
    """As ASCII, so that half a character can be sent too."""
    return await client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})


def refusal(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize(
    ("field", "value"), OUT_OF_RANGE, ids=[f"{name}={value!r:.12}" for name, value in OUT_OF_RANGE]
)
async def test_a_value_out_of_range_is_refused_by_name(client: httpx2.AsyncClient, field: str, value: Any) -> None:
    error = refusal(await post(client, CHAT, GOOD | {field: value}))
    assert error["param"].startswith(field)
    assert field in error["message"]


@pytest.mark.parametrize(("field", "value"), NOT_YET, ids=[name for name, _ in NOT_YET])
async def test_what_is_not_available_yet_is_refused_by_name(client: httpx2.AsyncClient, field: str, value: Any) -> None:
    error = refusal(await post(client, CHAT, GOOD | {field: value}))
    assert (error["param"], error["code"]) == (field, "unsupported_parameter")


async def test_an_unknown_field_is_refused_with_the_nearest(client: httpx2.AsyncClient) -> None:
    error = refusal(await client.post(CHAT, json=GOOD | {"temprature": 1}))
    assert error["param"] == "temprature"
    assert "'temperature'" in error["message"]


async def test_an_unknown_stream_option_is_refused(client: httpx2.AsyncClient) -> None:
    options = {"include_usage": True, "extra": 1}
    error = refusal(await client.post(CHAT, json=GOOD | {"stream": True, "stream_options": options}))
    assert error["param"] == "stream_options.extra"


async def test_limits_that_contradict_each_other_are_refused(client: httpx2.AsyncClient) -> None:
    error = refusal(await client.post(CHAT, json=GOOD | {"max_tokens": 5, "max_completion_tokens": 6}))
    assert error["param"] == "max_tokens"


@pytest.mark.parametrize("field", ["model", "messages"])
async def test_a_missing_field_is_refused_by_name(client: httpx2.AsyncClient, field: str) -> None:
    error = refusal(await client.post(CHAT, json={name: value for name, value in GOOD.items() if name != field}))
    assert error["param"] == field
    assert "Missing" in error["message"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"model": "a",}', "not valid JSON"),
        (b'{"model": NaN}', "NaN"),
        (b'{"temperature": Infinity}', "Infinity"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"model": "\xff"}', "not valid UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'{"user": ' + b"[" * 100_000, "nested deeper"),
        (b'{"user": ' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "a number of thousands of digits."),
        (b'{"metadata": {' + b",".join(b'"%d": 0' % name for name in range(10_001)) + b"}}", "more than 10000 names"),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_a_body_that_is_no_request_is_refused(client: httpx2.AsyncClient, content: bytes, said: str) -> None:
    response = await client.post(CHAT, content=content, headers={"content-type": "application/json"})
    assert said in refusal(response)["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({name for name, _ in [*OUT_OF_RANGE, *NOT_YET]} | {"messages", "prompt", "echo"})


@settings(max_examples=200)
@given(body=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), JSON, max_size=5), good=st.booleans())
async def test_no_body_ever_makes_the_server_fail(
    client: httpx2.AsyncClient, backend: ScriptedBackend, body: dict[str, Any], good: bool
) -> None:
    for path, rest in ((CHAT, GOOD), ("/v1/completions", {"model": MODEL, "prompt": "a"})):
        response = await post(client, path, rest | body if good else body)
        assert response.status_code in (200, 400, 404), response.text
        if response.status_code != 200:
            assert response.json()["error"]["message"]
