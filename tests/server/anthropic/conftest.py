"""The scripted application, with Anthropic's routes too."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from myna.server import anthropic


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    app.include_router(anthropic.create_router())
    return app
