"""An application with the OpenAI routes around a scripted backend, in process and on a socket."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from myna.server import openai
from myna.server.files import open_files
from myna.server.identity import IN_SCOPE, Identity
from myna.server.metrics import Metrics
from myna.server.openai.batches import open_batches
from myna.server.openai.responses import open_responses
from myna.server.shell import create_shell
from myna.server.webhooks import open_webhooks
from myna.settings import Settings
from myna.store.database import opened
from myna.store.upgrade import upgrade
from tests.server.people import House, house, quick_passwords
from tests.server.scripted import ScriptedBackend, ScriptedHub, ScriptedModels, serving


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def app(settings: Settings, backend: ScriptedBackend) -> FastAPI:
    application = create_shell(settings, Metrics())
    application.state.models = ScriptedModels(backend)
    application.state.hub = ScriptedHub()
    application.include_router(openai.create_router())
    return application


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8642") as http:
        yield http


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with serving(app) as url:
        yield url


@pytest.fixture
def quick() -> Iterator[None]:
    """For tests that are not about how passwords are kept."""
    with quick_passwords():
        yield


@pytest.fixture
async def home(tmp_path: Path, quick: None) -> AsyncIterator[House]:
    """The whole application without accounts, on loopback."""
    async with house(Settings(data_dir=tmp_path)) as running:
        yield running


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of the newest schema, to copy: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "myna.db"
    upgrade(path)
    return path


@pytest.fixture
def stored_app(settings: Settings, backend: ScriptedBackend, empty_database: Path) -> FastAPI:
    """As ``app``, with everything that is stored: opened in its lifespan, as by `myna.server.app`."""
    shutil.copy(empty_database, settings.data_dir / "myna.db")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.database = database = await stack.enter_async_context(opened(settings.data_dir))
            await stack.enter_async_context(app.state.meter.usage.stored(database))
            app.state.files = await stack.enter_async_context(open_files(database, settings))
            app.state.webhooks = await stack.enter_async_context(open_webhooks(database, settings))
            app.state.responses = await stack.enter_async_context(open_responses(database, app.state.webhooks))
            app.state.batches = await stack.enter_async_context(open_batches(app, settings))
            yield

    application = create_shell(settings, Metrics(), lifespan)
    application.state.models = ScriptedModels(backend)
    application.state.hub = ScriptedHub()
    application.include_router(openai.create_router())
    return application


@pytest.fixture
async def running_app(stored_app: FastAPI) -> AsyncIterator[FastAPI]:
    """``stored_app`` within its lifespan, in the test's own event loop."""
    async with stored_app.router.lifespan_context(stored_app):
        yield stored_app


@pytest.fixture
async def stored_client(running_app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(running_app) as http:
        yield http


@pytest.fixture
def client_as(running_app: FastAPI) -> Callable[[str], AbstractAsyncContextManager[httpx2.AsyncClient]]:
    """Clients of other users: ``async with client_as("ben") as http``."""
    return lambda user: client_of(as_user(running_app, user))


@pytest.fixture
def stored_address(stored_app: FastAPI) -> Iterator[str]:
    """``stored_app`` on a socket, for the official clients."""
    with serving(stored_app) as url:
        yield url


def client_of(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8642")


def as_user(app: ASGIApp, user: str) -> ASGIApp:
    """The application as a user meets it whose credentials were checked."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            scope = {**scope, IN_SCOPE: Identity(user, user, "member")}
        await app(scope, receive, send)

    return named
