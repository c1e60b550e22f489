"""Whatever goes wrong has one shape and the right status."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel

from myna import errors as tree
from myna.server import openai
from myna.server.errors import describe, error_response, excerpt, field_path, from_validation, status_of, suggestion

LEAVES = {
    tree.InvalidParameter("x"): 400,
    tree.UnsupportedParameter("x"): 400,
    tree.PromptTooLong(9, 5): 400,
    tree.NotFound("x"): 404,
    tree.Conflict("x"): 409,
    tree.Refused("x"): 403,
    tree.LicenceNotAcknowledged("m", "a licence", None): 403,
    tree.Unauthenticated("x"): 401,
    tree.WrongPassword("x"): 401,
    tree.WrongOwnPassword("x"): 401,
    tree.AccountDisabled("x"): 401,
    tree.CodeRequired("x"): 401,
    tree.WrongCode("x"): 401,
    tree.WrongPasskey("x"): 401,
    tree.SetUpRequired("x"): 401,
    tree.TooManyAttempts("x", retry_after=1): 429,
    tree.TooLarge("x"): 413,
    tree.RateLimited("x", unit="requests", retry_after=1): 429,
    tree.QuotaExhausted("x", unit="tokens", retry_after=1): 429,
    tree.ProviderError("x"): 502,
    tree.ConfigurationError("x"): 500,
    tree.ModelFileError("f", "x"): 500,
    tree.SourcesUnreachable("m", [("s", "r")]): 502,
    tree.HashMismatch("x"): 502,
    tree.DiskFull("x"): 507,
    tree.EngineError("x"): 500,
    tree.EngineCrashed("x"): 503,
    tree.EngineBusy("x"): 429,
    tree.ServerStopping("x"): 503,
    tree.ModelTooLarge("x"): 507,
    tree.StoreError("x"): 500,
    tree.StorageFull("x"): 507,
    tree.StoreUnavailable("x"): 503,
}


def test_every_error_of_the_tree_has_a_status() -> None:
    everything = {kind for _, kind in inspect.getmembers(tree, inspect.isclass) if issubclass(kind, tree.MynaError)}
    inner = {tree.MynaError, tree.RequestError, tree.LimitReached, tree.HubError}
    assert {type(error) for error in LEAVES} == everything - inner
    assert {type(error): status_of(error) for error in LEAVES} == {type(e): status for e, status in LEAVES.items()}


def test_a_caller_is_told_from_the_server() -> None:
    assert describe(tree.InvalidParameter("m", param="p"))["error"] == {
        "message": "m",
        "type": "invalid_request_error",
        "param": "p",
        "code": "invalid_value",
    }
    assert describe(tree.EngineError("m"))["error"]["type"] == "server_error"
    assert describe(tree.NotFound("m", param="model"))["error"]["code"] == "model_not_found"
    assert describe(tree.NotFound("m"))["error"]["code"] == "not_found"


def test_only_what_may_pass_asks_to_come_back() -> None:
    assert error_response(tree.EngineBusy("m")).headers["retry-after"] == "1"
    assert "retry-after" not in error_response(tree.EngineError("m")).headers
    limited = error_response(tree.RateLimited("m", unit="tokens", retry_after=2.5)).headers
    assert (limited["retry-after"], limited["retry-after-ms"]) == ("3", "2500")
    assert "x-should-retry" not in limited
    exhausted = error_response(tree.QuotaExhausted("m", unit="tokens", retry_after=3600)).headers
    assert (exhausted["retry-after"], exhausted["x-should-retry"]) == ("3600", "false")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (tree.RateLimited("m", unit="requests", retry_after=1), "requests", "rate_limit_exceeded"),
        (tree.RateLimited("m", unit="tokens", retry_after=1), "tokens", "rate_limit_exceeded"),
        (tree.QuotaExhausted("m", unit="tokens", retry_after=1), "insufficient_quota", "insufficient_quota"),
        (tree.EngineBusy("m"), "server_error", "engine_busy"),
    ],
)
def test_too_much_has_openais_types(error: tree.MynaError, kind: str, code: str) -> None:
    assert describe(error)["error"] | {"message": ""} == {"message": "", "type": kind, "param": None, "code": code}


class Body(BaseModel):
    names: list[str]


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    @app.post("/typed")
    async def typed(body: Body, limit: Annotated[int, Query(ge=1)] = 5) -> dict[str, str]:
        return {}

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("a secret")

    @app.get("/known")
    async def known() -> None:
        raise tree.Conflict("Already there.", param="id")

    return app


async def test_unknown_routes_and_methods(client: httpx2.AsyncClient) -> None:
    missing = await client.get("/v1/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"
    assert "/v1/nothing" in missing.json()["error"]["message"]
    wrong = await client.get("/v1/completions")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert wrong.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("query", "content", "param"),
    [
        ("", b'{"names": ["a", 1]}', "names[1]"),
        ("", b"{}", "names"),
        ("?limit=0", b'{"names": []}', "limit"),
        ("?limit=x", b'{"names": []}', "limit"),
        ("", b"{", None),
        ("", b"\xff", None),
        ("", b"", None),
    ],
)
async def test_the_frameworks_own_refusals(
    client: httpx2.AsyncClient, query: str, content: bytes, param: str | None
) -> None:
    response = await client.post(f"/typed{query}", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert response.json()["error"]["message"]


async def test_an_error_of_the_tree_from_any_route(client: httpx2.AsyncClient) -> None:
    response = await client.get("/known")
    assert response.status_code == 409
    assert response.json()["error"]["param"] == "id"


async def test_a_fault_of_ours_tells_its_id_and_nothing_else(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client.get("/broken")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in response.json()["error"]["message"]
    assert caplog.records[0].fields["request_id"] == response.headers["x-request-id"]  # type: ignore[attr-defined]
    assert "a secret" in caplog.text
    assert "content-security-policy" in response.headers


async def test_a_client_that_goes_in_the_middle_of_its_body_is_no_fault_of_ours(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "query_string": b"", "headers": headers}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    app.include_router(openai.create_router())
    await app(scope, receive, send)
    assert sent[0]["status"] == 499
    assert caplog.text == ""


def test_field_path() -> None:
    assert field_path(("messages", 0, "content", 1, "text")) == "messages[0].content[1].text"
    assert field_path(("metadata", "k" * 100, "[key]")) == f"metadata.{'k' * 64}"


def test_suggestion() -> None:
    assert suggestion("temprature", ["temperature", "top_p"]) == " Did you mean 'temperature'?"
    assert suggestion("zzz", ["temperature"]) == ""


def test_excerpt_is_short_and_harmless() -> None:
    assert len(excerpt("x" * 10_000)) <= 60
    assert len(excerpt({"a": ["x"] * 1000})) <= 60
    assert "\x1b" not in excerpt("\x1b[31m")


def test_from_validation_names_the_value() -> None:
    error = from_validation([{"type": "less_than_equal", "loc": ("body", "top_p"), "msg": "Must be less.", "input": 7}])
    assert error.param == "top_p"
    assert error.message == "Invalid value for 'top_p': Must be less; got 7."
