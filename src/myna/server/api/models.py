"""The models there are, and fetching one."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from myna.server.acts import note
from myna.server.api import types
from myna.server.api.services import Services

router = APIRouter(prefix="/api/models")


@router.get("")
async def list_models(services: Services) -> types.ModelList:
    """Every model on disk, then those of the catalog that could be fetched."""
    return types.ModelList(models=await services.library.models(), default=services.library.default)


@router.post("/{name:path}/adapters", status_code=201)
async def load_adapter(request: Request, services: Services, name: str, adapter: types.NewAdapter) -> types.Model:
    """Give a model a LoRA adapter from the directory for adapters."""
    name = services.library.canonical(name)
    await services.manager.load_adapter(name, adapter.name, adapter.path)
    await note(request, "adapter.load", "model", name, adapter=adapter.name)
    return await services.library.model(name)


@router.delete("/{name:path}/adapters/{adapter}")
async def unload_adapter(request: Request, services: Services, name: str, adapter: str) -> types.Model:
    """Take an adapter from a model; answers that use it are still finished."""
    name = services.library.canonical(name)
    await services.manager.unload_adapter(name, adapter)
    await note(request, "adapter.unload", "model", name, adapter=adapter)
    return await services.library.model(name)


@router.post("/{name:path}/pull", status_code=202)
async def pull(request: Request, services: Services, name: str, response: Response) -> types.Model:
    """Begin to fetch a model; 200 when it is there already."""
    model = await services.library.pull(name)
    if not model.on_disk:
        await note(request, "model.pull", "model", model.name)
    response.status_code = 200 if model.on_disk else 202
    return model


@router.post("/{name:path}/pull/cancel")
async def cancel_pull(services: Services, name: str) -> types.Model:
    """Stop fetching a model, or dismiss the error of a fetch that failed."""
    return await services.library.cancel(name)
