"""An application with the OpenAI routes around a scripted backend, in process and on a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from myna.server import openai
from myna.server.metrics import Metrics
from myna.server.shell import create_shell
from myna.settings import Settings
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
