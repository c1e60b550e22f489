"""``GET /v1/models``: what can be asked for now, which is what lies on disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.errors import NotFound
from myna.server.errors import json_response, suggestion
from myna.server.openai.generation import DEFAULT_MODEL_ALIAS, Models, adapted

if TYPE_CHECKING:
    from myna.hub import Hub

router = APIRouter()

OWNED_BY = "myna"


@router.get("/v1/models")
async def list_models(request: Request) -> Response:
    """All models on disk, the default one first, each followed by itself with each of its adapters."""
    return json_response({"object": "list", "data": await _available(request)})


@router.get("/v1/models/{name:path}")
async def retrieve_model(request: Request, name: str) -> Response:
    """One model."""
    available = {model["id"]: model for model in await _available(request)}
    models: Models = request.app.state.models
    wanted = models.default if name == DEFAULT_MODEL_ALIAS else name
    if wanted not in available:
        raise NotFound(f"There is no model '{name}' here.{suggestion(name, available)}", param="model")
    return json_response(available[wanted])


async def _available(request: Request) -> list[dict[str, Any]]:
    hub: Hub = request.app.state.hub
    models: Models = request.app.state.models
    names = {model.name: int(model.pulled_at) for model in await asyncio.to_thread(hub.local)}
    names.setdefault(models.default, 0)
    adapters = models.adapters()
    listed: list[dict[str, Any]] = []
    for name, created in sorted(names.items(), key=lambda item: (item[0] != models.default, item[0])):
        entry = {"id": name, "object": "model", "created": created, "owned_by": OWNED_BY}
        listed.append(entry)
        listed += [
            entry | {"id": adapted(name, adapter), "root": name, "parent": name} for adapter in adapters.get(name, ())
        ]
    return listed
