"""The application's own API on a real socket, around a scripted backend and a scripted hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect

from myna.errors import MynaError, NotFound
from myna.hub import catalog
from myna.models import descriptions
from myna.models.descriptions import Descriptions
from myna.server import api
from myna.server.meter import Meter
from myna.server.metrics import Metrics
from myna.server.shell import create_shell
from myna.settings import Settings
from myna.store.database import opened
from tests.patience import WAIT_SECONDS
from tests.runs.conversation import new_id
from tests.runs.scripted import Reply, ScriptedBackend, ScriptedModels

CATALOG = (
    SimpleNamespace(
        name="scripted",
        aliases=(),
        title="Scripted",
        description="Says what it is told",
        parameters=1,
        context=4096,
        licence="apache-2.0",
        licence_class="open",
        sampling=catalog.RecommendedSampling(),
        kind="chat",
        bytes=100,
        about=catalog.NOTHING_KNOWN,
        sources=(),
    ),
    SimpleNamespace(
        name="bigger",
        aliases=(),
        title="Bigger",
        description="More of it",
        parameters=2,
        context=4096,
        licence="mit",
        licence_class="open",
        sampling=catalog.RecommendedSampling(),
        kind="chat",
        bytes=1000,
        about=catalog.About(trained_on="What there was", limits="Errs", more=None),
        sources=(SimpleNamespace(label="somewhere"),),
    ),
    SimpleNamespace(
        name="restricted",
        aliases=(),
        title="Restricted",
        description="Not for everything",
        parameters=2,
        context=4096,
        licence="gemma",
        licence_class="use-restricted",
        sampling=catalog.RecommendedSampling(),
        kind="chat",
        bytes=1000,
        about=catalog.NOTHING_KNOWN,
        sources=(),
    ),
)


class ScriptedHub:
    """Stands for the hub: a fetch goes on step by step as the test says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pulls = 0
        self.steps: queue.Queue[SimpleNamespace | MynaError | None] = queue.Queue()
        self._path("scripted").write_bytes(b"x" * 100)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name.replace('/', '-')}.gguf"

    def resolve(self, name: str) -> SimpleNamespace:
        for entry in CATALOG:
            if name in (entry.name, entry.name.upper()):
                return SimpleNamespace(name=entry.name, kind="catalog", entry=entry)
        if name == "hf:owner/bird":
            return SimpleNamespace(name=name, kind="huggingface", entry=None)
        raise NotFound(f"There is no model {name!r}. Did you mean scripted?", param="model")

    def find(self, name: str) -> Path | None:
        path = self._path(self.resolve(name).name)
        return path if path.exists() else None

    def size(self, name: str) -> int | None:
        path = self.find(name)
        return path.stat().st_size if path else None

    def local(self) -> list[SimpleNamespace]:
        fetched = {"source": "somewhere", "sha256": "0" * 64, "pulled_at": 0.0}
        found = [SimpleNamespace(name=each.name, entry=each, path=self._path(each.name), **fetched) for each in CATALOG]
        return [local for local in found if local.path.exists()]

    def pull(self, name: str, progress: Callable[[Any], None]) -> Path:
        self.pulls += 1
        at = SimpleNamespace(done=0, total=1000, bytes_per_second=0.0, source="somewhere")
        while True:
            with contextlib.suppress(queue.Empty):
                step = self.steps.get(timeout=0.02)
                if isinstance(step, MynaError):
                    raise step
                if step is None:
                    self._path(name).write_bytes(b"x" * 1000)
                    return self._path(name)
                at = step
            progress(at)  # said again and again while nothing happens, as the real one does

    def step(self, done: int) -> None:
        self.steps.put(SimpleNamespace(done=done, total=1000, bytes_per_second=50.0, source="somewhere"))


@dataclass
class Socket:
    """One tab's WebSocket."""

    connection: ClientConnection
    frames: list[dict[str, Any]] = field(default_factory=list)
    found: set[int] = field(default_factory=set)

    async def send(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def next(self, kind: str) -> dict[str, Any]:
        """The next frame of a type; those before it are kept in ``frames``."""
        while True:
            frame: dict[str, Any] = json.loads(await self.connection.recv())
            self.frames.append(frame)
            if frame["type"] == kind:
                return frame

    async def change(self, kind: str, **data: Any) -> dict[str, Any]:
        """A change of a kind whose object has these values, not found before; waits until there is one."""
        position = 0
        while True:
            while position == len(self.frames):
                await self.next("change")
            change: dict[str, Any] = self.frames[position].get("change", {"kind": None})
            fits = change["kind"] == kind and data.items() <= (change["data"] or {}).items()
            if fits and position not in self.found:
                self.found.add(position)
                return change
            position += 1

    async def end(self, run_id: str) -> dict[str, Any]:
        """The end of a run, as an event."""
        while True:
            frame = await self.next("event")
            if frame["run"] == run_id and frame["event"]["kind"] == "end":
                return frame

    def text(self, run_id: str) -> str:
        """What the browser shows of a run that was followed from its start."""
        shown = ""
        for frame in self.frames:
            if frame.get("run") != run_id:
                continue
            if frame["type"] == "snapshot":
                shown = "".join(part["text"] for part in frame["message"]["parts"])
            elif frame["type"] == "event" and frame["event"]["kind"] == "text":
                shown += frame["event"]["text"]
        return shown

    def numbers(self, run_id: str) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["type"] == "event" and frame["run"] == run_id]


@dataclass
class Served:
    """A running server and a client of it."""

    url: str
    http: httpx2.AsyncClient
    backend: ScriptedBackend
    models: ScriptedModels
    hub: ScriptedHub
    services: api.ApiServices
    meter: Meter
    server: uvicorn.Server
    task: asyncio.Task[None]
    chat_id: str = field(default_factory=new_id)

    async def end(self) -> None:
        """End the server, not yet its services; every connection is gone afterwards."""
        self.server.should_exit = True
        await self.task

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Socket]:
        async with connect(self.url.replace("http", "ws") + "/api/events", origin=self.url) as connection:  # type: ignore[arg-type]
            yield Socket(connection)

    async def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """A request of the browser; the body of the answer."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "origin": self.url}
        answer = await self.http.request(method, path, content=content, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else None

    async def ask(self, text: str, parent_id: str | None = None) -> tuple[dict[str, Any], Reply]:
        """Send a message; the answer has not begun yet."""
        body = {
            "message": {"id": new_id(), "parent_id": parent_id, "text": text},
            "run": {"id": new_id(), "message_id": new_id()},
        }
        created = await self.call("POST", f"/api/chats/{self.chat_id}/messages", body, expect=201)
        return created, await self.backend.reply(created["run"]["id"])

    async def exchange(self, text: str, answer: str, parent_id: str | None = None) -> dict[str, Any]:
        """Send a message and have it answered."""
        created, reply = await self.ask(text, parent_id)
        reply.start()
        reply.say(answer)
        reply.finish()
        if (log := self.services.runs.live("local", created["run"]["id"])) is not None:
            await log.ended.wait()
        return created


@pytest.fixture(autouse=True)
def described_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are described in the tests' process, which has imported all that for long."""
    monkeypatch.setattr(Descriptions, "_describe", lambda _, path: descriptions.answer({"path": str(path)}))


@asynccontextmanager
async def serve(data_dir: Path) -> AsyncIterator[Served]:
    """The server on a data directory, as often as a test wants to start it."""
    backend = ScriptedBackend()
    models = ScriptedModels(backend)
    hub = ScriptedHub(data_dir)
    settings = Settings(data_dir=data_dir)
    app: FastAPI = create_shell(settings, Metrics())
    app.include_router(api.create_router())
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        ws="websockets-sansio",
        # Longer than a slow machine rests between two requests: else one is sent as its connection is being closed.
        timeout_keep_alive=int(WAIT_SECONDS),
    )
    server = uvicorn.Server(config)
    async with (
        opened(settings.data_dir) as database,
        api.open_services(database, models, hub, app.state.meter) as services,  # type: ignore[arg-type]
    ):
        app.state.api = services
        listening = socket.create_server(("127.0.0.1", 0))  # connections wait in it until the server takes them
        task = asyncio.create_task(server.serve(sockets=[listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=url, timeout=WAIT_SECONDS) as http:
            served = Served(url, http, backend, models, hub, services, app.state.meter, server, task)
            yield served
        services.disconnect()
        await served.end()


@pytest.fixture(autouse=True)
def scripted_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "models", lambda: CATALOG)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as running:
        yield running
