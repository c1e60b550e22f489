"""Calls within the process: what a client over HTTP would get."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest
from fastapi import FastAPI

from myna.server.identity import Identity
from myna.server.inside import call
from myna.server.metrics import Metrics
from tests.server.scripted import MODEL, ScriptedBackend

ADA = Identity("ada", "Ada", "member", "inference")
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "seed": 5}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", ASKED),
        ("/v1/chat/completions", ASKED | {"temperature": 9}),
        ("/v1/chat/completions", ASKED | {"model": "unknown"}),
        ("/v1/completions", {"model": MODEL, "prompt": "word " * 100}),
        ("/v1/embeddings", {"model": MODEL, "input": "two words"}),
        ("/v1/nothing", {}),
    ],
    ids=["answer", "out of range", "no model", "too long", "embeddings", "no route"],
)
async def test_an_answer_is_the_one_over_http(
    app: FastAPI, client: httpx2.AsyncClient, path: str, body: dict[str, object]
) -> None:
    inside = await call(app, ADA, path, json.dumps(body).encode())
    outside = await client.post(path, json=body)
    assert inside.status == outside.status_code
    assert inside.headers["content-type"] == outside.headers["content-type"]
    assert inside.request_id.startswith("req_")
    changing = {"id": "", "created": 0}
    assert json.loads(inside.body) | changing == outside.json() | changing


async def test_it_is_in_its_callers_name_and_in_the_background_if_asked(app: FastAPI, backend: ScriptedBackend) -> None:
    for background in (True, False):
        await call(app, ADA, "/v1/chat/completions", json.dumps(ASKED).encode(), background=background)
        embedding = json.dumps({"model": MODEL, "input": "two words"}).encode()
        await call(app, ADA, "/v1/embeddings", embedding, background=background)
        assert (backend.requests[-1].owner, backend.requests[-1].background) == ("ada", background)
        assert backend.embeddings[-1].background == background


async def test_how_long_nobody_waits_is_not_counted(app: FastAPI) -> None:
    [metrics] = [part for each in app.user_middleware for part in each.args if isinstance(part, Metrics)]
    for background in (True, False):
        await call(app, ADA, "/v1/chat/completions", json.dumps(ASKED).encode(), background=background)
    exposed = metrics.exposition({}).decode()
    assert 'myna_http_first_byte_seconds_count{route="/v1/chat/completions"} 1.0' in exposed
    assert 'myna_http_requests_total{method="POST",route="/v1/chat/completions",status="200"} 2.0' in exposed


async def test_cancelling_the_task_cancels_the_work(app: FastAPI, backend: ScriptedBackend) -> None:
    backend.gate = asyncio.Event()
    task = asyncio.create_task(call(app, ADA, "/v1/chat/completions", json.dumps(ASKED).encode()))
    while not backend.paused.is_set():
        assert not task.done(), task
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(backend.cancelled) == 1
