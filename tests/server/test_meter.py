"""Limits as clients meet them: headers, refusals in their API's shape, and every token counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import httpx2
import openai as official
import pytest
from fastapi import FastAPI

from myna.server import anthropic, ollama
from myna.server.identity import IN_SCOPE, LOCAL, Identity, Limits
from myna.server.inside import call
from myna.server.meter import Meter
from myna.server.rates import Rates
from myna.settings import Settings
from myna.store import usage
from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL, ScriptedBackend, serving

CHAT = "/v1/chat/completions"
HI = {"model": MODEL, "messages": [{"role": "user", "content": "one two three four"}]}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"requests_per_minute": 3, "tokens_per_minute": 50})


@pytest.fixture
def app(stored_app: FastAPI) -> FastAPI:
    stored_app.state.meter.rates = Rates(lambda: 0.0)  # where no time passes, nothing is given back
    stored_app.include_router(anthropic.create_router())
    stored_app.include_router(ollama.create_router())
    return stored_app


@pytest.fixture
async def client(app: FastAPI, stored_client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    return stored_client


def used_today(app: FastAPI, user: str = "local") -> int:
    meter: Meter = app.state.meter
    return meter.usage.today(user)


@pytest.mark.parametrize("stream", [False, True])
async def test_every_answer_tells_what_is_left(client: httpx2.AsyncClient, stream: bool) -> None:
    answer = await client.post(CHAT, json=HI | {"stream": stream})
    headers = {name: value for name, value in answer.headers.items() if name.startswith("x-ratelimit")}
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert headers["x-ratelimit-limit-tokens"] == "50"
    assert int(headers["x-ratelimit-remaining-tokens"]) == (46 if stream else 43)
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    assert headers["x-ratelimit-reset-tokens"].endswith("s")


async def test_too_many_requests_are_refused_in_every_shape(client: httpx2.AsyncClient, app: FastAPI) -> None:
    for _ in range(3):
        assert (await client.post(CHAT, json=HI)).status_code == 200
    refused = await client.post(CHAT, json=HI)
    assert refused.status_code == 429
    assert refused.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert refused.headers["retry-after"] == "20"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    neighbour = await client.post("/v1/messages", json=HI | {"max_tokens": 5})
    assert (neighbour.status_code, neighbour.json()["error"]["type"]) == (429, "rate_limit_error")
    other = await client.post("/api/chat", json=HI)
    assert (other.status_code, list(other.json())) == (429, ["error"])
    assert (await client.get("/v1/models")).status_code == 200, "what uses no model is not limited"
    assert used_today(app) == 3 * 7


async def test_what_is_refused_for_itself_takes_nothing(client: httpx2.AsyncClient) -> None:
    for body in ({}, HI | {"model": "nothing"}, HI | {"temperature": 9}):
        for _ in range(4):
            assert (await client.post(CHAT, json=body)).status_code in (400, 404)
    assert (await client.post(CHAT, json=HI)).headers["x-ratelimit-remaining-requests"] == "2"


async def test_users_do_not_take_from_each_other(
    client: httpx2.AsyncClient, client_as: Callable[[str], AbstractAsyncContextManager[httpx2.AsyncClient]]
) -> None:
    async with client_as("ben") as ben:
        for _ in range(3):
            assert (await client.post(CHAT, json=HI)).status_code == 200
        assert (await client.post(CHAT, json=HI)).status_code == 429
        assert (await ben.post(CHAT, json=HI)).status_code == 200


LIMITED = {
    "none of his own": (Limits(), Limits(), 3),
    "his own": (Limits(requests_per_minute=1), Limits(), 1),
    "without any": (Limits(requests_per_minute=0), Limits(), 9),
    "his key's": (Limits(), Limits(requests_per_minute=2), 2),
    "his own below his key's": (Limits(requests_per_minute=1), Limits(requests_per_minute=5), 1),
}


@pytest.mark.parametrize("case", LIMITED)
def test_own_limits_come_before_the_settings(app: FastAPI, case: str) -> None:
    own, keys, allowed = LIMITED[case]
    meter: Meter = app.state.meter
    caller = Identity("ann", "Ann", "member", key="key_1", limits=own, key_limits=keys)
    taken = 0
    for _ in range(9):
        try:
            meter.check(caller)
        except Exception:
            break
        taken += 1
    assert taken == allowed


async def test_tokens_of_all_choices_count_and_the_prompt_once(client: httpx2.AsyncClient, app: FastAPI) -> None:
    answer = await client.post(CHAT, json=HI | {"n": 3})
    assert used_today(app) == answer.json()["usage"]["total_tokens"] == 4 + 3 * 3


async def test_tokens_of_embeddings_count(client: httpx2.AsyncClient, app: FastAPI) -> None:
    answer = await client.post("/v1/embeddings", json={"model": MODEL, "input": ["one two", "three"]})
    assert used_today(app) == answer.json()["usage"]["total_tokens"] == 3


async def test_a_debt_of_tokens_is_waited_for(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.answer = ["word "] * 60
    assert (await client.post(CHAT, json=HI)).headers["x-ratelimit-remaining-tokens"] == "0"
    refused = await client.post(CHAT, json=HI)
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "tokens"
    assert int(refused.headers["retry-after"]) == 18  # 15 tokens at 50 a minute


async def test_what_a_client_leaves_is_counted(app: FastAPI, backend: ScriptedBackend) -> None:
    backend.gate = asyncio.Event()
    async with app.router.lifespan_context(app):
        # A client of its own: the transport that tests use waits for the whole answer.
        working = asyncio.create_task(
            call(
                app,
                LOCAL,
                CHAT,
                b'{"model": "%b", "messages": [{"role": "user", "content": "one two three four"}]}' % MODEL.encode(),
            )
        )
        await asyncio.to_thread(backend.paused.wait, WAIT_SECONDS)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert used_today(app) == 4 + 1


async def test_the_background_waits_for_its_turn(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    meter: Meter = app.state.meter
    now, waits = [0.0], []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    meter.rates = Rates(lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    body = b'{"model": "%b", "messages": [{"role": "user", "content": "Hi"}]}' % MODEL.encode()
    for _ in range(4):
        assert (await call(app, LOCAL, CHAT, body, background=True)).status == 200
    assert [seconds for seconds in waits if seconds] == [20]


async def test_a_spent_day_is_not_tried_again(app: FastAPI) -> None:
    spent = Identity("ann", "Ann", "member", limits=Limits(0, 0, tokens_per_day=5))
    body = b'{"model": "%b", "messages": [{"role": "user", "content": "one two three"}]}' % MODEL.encode()
    async with app.router.lifespan_context(app):
        assert (await call(app, spent, CHAT, body)).status == 200
        for background in (False, True):
            refused = await call(app, spent, CHAT, body, background=background)
            assert refused.status == 429
            assert b"insufficient_quota" in refused.body
            assert refused.headers["x-should-retry"] == "false"


async def test_what_was_used_is_stored_by_key_and_model(app: FastAPI) -> None:
    keyed = Identity("ann", "Ann", "member", key="key_1")
    body = b'{"model": "%b", "messages": [{"role": "user", "content": "one two"}]}' % MODEL.encode()
    async with app.router.lifespan_context(app):
        for _ in range(2):
            await call(app, keyed, CHAT, body)
        await app.state.meter.usage.write(app.state.database)
        async with app.state.database.read("ann") as scope:
            today = datetime.now(UTC).date()
            [row] = await usage.of_days(scope, today, today)
    assert (row.model, row.key, row.requests, row.prompt_tokens, row.completion_tokens) == (MODEL, "key_1", 2, 4, 6)


def test_the_official_client_knows_the_errors(app: FastAPI) -> None:
    async def as_ann(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope = {**scope, IN_SCOPE: Identity("ann", "Ann", "member", limits=Limits(1, 0, 0))}
        await app(scope, receive, send)

    with serving(as_ann) as url, official.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        answer = client.chat.completions.with_raw_response.create(**HI)  # type: ignore[call-overload]
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(official.RateLimitError) as refused:
            client.chat.completions.create(**HI)  # type: ignore[call-overload]
    assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "requests")
