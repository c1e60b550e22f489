"""The models there are, and fetching one."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from myna.server.acts import note
from myna.server.api import types
from myna.server.api.services import Services

router = APIRouter(prefix="/api/models")


@router.get("")
async def list_models(request: Request, services: Services) -> types.ModelList:
    """Every model on disk, then those of the catalog that could be fetched."""
    library, options = services.library, request.app.state.options.current
    default = options.default_model or library.default
    return types.ModelList(models=await library.models(), default=default, memory=library.memory())


@router.get("/{name:path}/card")
async def model_card(services: Services, name: str) -> types.ModelCard:
    """All that is known of a model: where it came from, what it is made of, what it learned from, its limits."""
    return await services.library.card(name)


@router.post("/{name:path}/load", status_code=202)
async def load_model(services: Services, name: str, request: Request) -> types.Model:
    """Begin to load a model; it waits for those that use the memory which it needs."""
    model = await services.library.load(name)
    await note(request, "model.load", "model", model.name)
    return model


@router.post("/{name:path}/unload")
async def unload_model(services: Services, name: str, request: Request) -> types.Model:
    """Free the memory of a model; its running answers end with what they have."""
    model = await services.library.unload(name)
    await note(request, "model.unload", "model", model.name)
    return model


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


@router.delete("/{name:path}", status_code=204)
async def delete_model(request: Request, services: Services, name: str) -> None:
    """Delete a model that was fetched from the disk; answers that it is giving end with what they have."""
    name = services.library.canonical(name)
    await services.library.remove(name)
    await note(request, "model.delete", "model", name)
