"""Streams of lines that end otherwise than well, and fetches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from myna.errors import EngineBusy, EngineCrashed
from myna.models.dialects.answer import AnswerSyntax
from myna.server.api.types import Failure, Model, Pull
from tests.server.openai.test_connection import WAIT_SECONDS, receive_until, send
from tests.server.scripted import MODEL, ScriptedBackend

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}


async def test_a_failure_in_the_middle_is_the_last_line(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.late_failure = EngineCrashed("It broke.")
    answer = await client.post("/api/chat", json=CHAT)
    assert answer.headers["content-type"] == "application/x-ndjson"
    first, last = map(json.loads, answer.text.splitlines())
    assert first["message"] == {"role": "assistant", "content": "Hello"}
    assert last == {"error": "It broke."}


async def test_a_failure_at_first_is_an_answer(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.failure = EngineBusy("Too many wait.")
    answer = await client.post("/api/chat", json=CHAT)
    assert (answer.status_code, answer.json()) == (503, {"error": "Too many wait."})
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_thought_stands_beside_what_is_said(
    client: httpx2.AsyncClient, backend: ScriptedBackend, stream: bool
) -> None:
    backend.answer, backend.syntax = ("<think>hm", "m</think>", "Hi", " you"), AnswerSyntax(thinks=True)
    answer = await client.post("/api/chat", json=CHAT | {"stream": stream})
    messages = [json.loads(line)["message"] for line in answer.text.splitlines()]
    assert "".join(message.get("thinking", "") for message in messages) == "hmm"
    assert "".join(message["content"] for message in messages) == "Hi you"


@pytest.mark.parametrize("stream", [True, False])
def test_the_client_goes(address: str, backend: ScriptedBackend, stream: bool) -> None:
    backend.gate = asyncio.Event()
    connection = send(address, "/api/chat", CHAT | {"stream": stream})
    if stream:
        receive_until(connection, b'"Hello"')
    else:
        assert backend.paused.wait(WAIT_SECONDS)
    connection.close()
    assert backend.cancelled_event.wait(WAIT_SECONDS)


class Fetching:
    """A library in which a model comes bit by bit, or does not come."""

    def __init__(self, *steps: Model) -> None:
        self.steps = steps
        self.watchers: list[Callable[[Model], None]] = []

    def canonical(self, name: str) -> str:
        return name

    def watch(self, watcher: Callable[[Model], None]) -> Callable[[], None]:
        self.watchers.append(watcher)
        return lambda: self.watchers.remove(watcher)

    async def pull(self, name: str) -> Model:
        for step in (model("another", 1), *self.steps[1:]):
            self.watchers[0](step)
        return self.steps[0]


def model(name: str = "smollm2:135m", done: int | None = None, error: str | None = None) -> Model:
    failure = None if error is None else Failure(code="hub_error", message=error)
    state: Any = "running" if error is None else "failed"
    pull = Pull(state=state, done=done or 0, total=10, bytes_per_second=1.0, source=None, error=failure)
    return Model.model_construct(name=name, on_disk=done == 10, pull=None if done is None else pull)


@pytest.mark.parametrize(
    ("steps", "last", "status"),
    [
        ((model(done=0), model(done=5), model(done=10)), {"status": "success"}, 200),
        ((model(done=0), model(done=5, error="No network.")), {"error": "No network."}, 502),
        ((model(done=0), model()), {"error": "Fetching smollm2:135m was stopped."}, 502),
    ],
)
async def test_a_fetch_is_followed_to_its_end(
    client: httpx2.AsyncClient, app: FastAPI, steps: tuple[Model, ...], last: dict[str, str], status: int
) -> None:
    library = Fetching(*steps)
    app.state.api = SimpleNamespace(library=library)
    body = {"model": "smollm2:135m"}
    told = [json.loads(line) for line in (await client.post("/api/pull", json=body)).text.splitlines()]
    assert told[0] == {"status": "pulling manifest"}
    assert (told[1]["completed"], told[1]["total"]) == (0, 10)
    assert told[-1] == last
    whole = await client.post("/api/pull", json=body | {"stream": False})
    assert (whole.status_code, whole.json()) == (status, last)
    assert library.watchers == []
