"""The application's own API, which the browser speaks: docs/application-api.md."""

from __future__ import annotations

from fastapi import APIRouter

from myna.server.api import (
    account,
    admin,
    admin_usage,
    audit,
    chats,
    downloads,
    events,
    health,
    invitations,
    keys,
    licences,
    messages,
    models,
    passkeys,
    playground,
    preferences,
    presets,
    projects,
    provider,
    runs,
    search,
    second_factor,
    session,
    tokens,
    users,
)
from myna.server.api.services import ApiServices, open_services

__all__ = ["ApiServices", "create_router", "open_services"]


def create_router() -> APIRouter:
    """Every route under ``/api``; they find their services at ``app.state.api`` (see `open_services`)."""
    router = APIRouter()
    for module in (
        session,
        account,
        preferences,
        second_factor,
        provider,
        passkeys,
        keys,
        users,
        invitations,
        admin,
        admin_usage,
        health,
        audit,
        chats,
        downloads,
        projects,
        search,
        messages,
        tokens,
        runs,
        models,
        presets,
        licences,
        playground,
        events,
    ):
        router.include_router(module.router)
    return router
