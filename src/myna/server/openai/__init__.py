"""The OpenAI API: wire types, one module a resource."""

from __future__ import annotations

from fastapi import APIRouter

from myna.server.openai import (
    adapters,
    batches,
    chat,
    completions,
    conversations,
    embeddings,
    files,
    missing,
    models,
    moderations,
    rerank,
    responses,
    stored,
    tokenize,
    uploads,
    webhooks,
)

__all__ = ["create_router"]


def create_router() -> APIRouter:
    """All routes under ``/v1``. They expect ``app.state.models`` and ``app.state.hub``."""
    router = APIRouter()
    for module in (
        models,
        adapters,
        chat,
        stored,
        responses,
        conversations,
        completions,
        embeddings,
        rerank,
        moderations,
        tokenize,
        files,
        uploads,
        batches,
        webhooks,
    ):
        router.include_router(module.router)
    router.include_router(missing.create_router())  # last, so that what exists comes first
    return router
