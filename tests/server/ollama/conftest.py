"""The scripted application, with Ollama's routes too."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from myna.server import ollama


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    app.include_router(ollama.create_router())
    return app
