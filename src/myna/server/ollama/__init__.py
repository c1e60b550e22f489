"""Ollama's API, so that what was written for it works here: chat, generate, embed, and the models there are.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md. As there, fields that are not known are ignored; what is
known and cannot be done is refused.
"""

from __future__ import annotations

from fastapi import APIRouter

from myna.server.ollama import embed, generate, models

__all__ = ["create_router"]


def create_router() -> APIRouter:
    """Its routes under ``/api``. They expect ``app.state.models``, ``app.state.hub`` and ``app.state.api``."""
    router = APIRouter()
    for module in (generate, embed, models):
        router.include_router(module.router)
    return router
