"""``/v1/models``: what can be asked for now, which is what lies on disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.backends.removal import remove_model
from myna.errors import NotFound, Refused
from myna.server.acts import note
from myna.server.errors import json_response, suggestion
from myna.server.openai.generation import DEFAULT_MODEL_ALIAS, Models, adapted, known_model

if TYPE_CHECKING:
    from myna.hub import Hub

router = APIRouter()

OWNED_BY = "myna"


class UnloadableModels(Models, Protocol):
    """Models that can be unloaded; `myna.backends.manager.ModelManager` is one."""

    async def unload(self, name: str) -> None:
        """End a model's process; its running answers fail."""


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


@router.delete("/v1/models/{name:path}")
async def delete_model(request: Request, name: str) -> Response:
    """Delete a model that was pulled from the disk; answers that it is giving end with an error."""
    name = await delete(request.app.state.hub, request.app.state.models, name)
    await note(request, "model.delete", "model", name)
    return json_response({"id": name, "object": "model", "deleted": True})


async def delete(hub: Hub, models: UnloadableModels, name: str) -> str:
    """Unload a model and delete it from the disk. Returns its canonical name.

    Raises:
        NotFound: no such model, or it was not pulled.
        Refused: it is a file that Myna did not fetch.
    """
    reference = hub.resolve(known_model(models, name))
    if reference.kind == "local":
        raise Refused(f"{reference.name} was not fetched by Myna; delete it yourself.", param="model")
    if all(model.name != reference.name for model in await asyncio.to_thread(hub.local)):
        raise NotFound(f"{reference.name} is not on disk, so there is nothing to delete.", param="model")
    await models.unload(reference.name)
    await asyncio.to_thread(remove_model, hub, reference.name)
    return reference.name


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
