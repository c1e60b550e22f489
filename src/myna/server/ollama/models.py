"""The models there are: ``/api/tags``, ``show``, ``ps``, ``pull``, ``delete``, and ``/api/version``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import Response

from myna.backends.manager import ModelManager
from myna.errors import HubError, NotFound
from myna.hub import Hub, LocalModel
from myna.models.description import Description
from myna.server.acts import note
from myna.server.api.services import Services
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.ollama.wire import Body, Lines, create_router, line, timestamp
from myna.server.openai.connection import request_schema
from myna.server.openai.generation import known_model
from myna.server.openai.models import delete as delete_model

if TYPE_CHECKING:
    from myna.server.api.library import Library
    from myna.server.api.types import Model

router = create_router()

VERSION = "0.12.0"
"""Of Ollama, whose API this is like; its clients ask so as to know what they may send."""

THINKING_MARKS = ("<think>", "</think>", "reasoning_effort")
"""In the templates of models that think before they answer."""

NEVER_SECONDS = 100 * 365 * 86_400
"""When a loaded model expires: it stays until another needs its place."""


class ModelBody(Body):
    """A request that names a model and nothing else."""


class PullBody(Body):
    """``POST /api/pull``."""

    stream: bool = True


@router.get("/version")
async def version() -> Response:
    """The version of Ollama whose API this is like."""
    return json_response({"version": VERSION})


@router.get("/tags")
async def tags(request: Request) -> Response:
    """All models on disk."""
    hub: Hub = request.app.state.hub
    return json_response({"models": [_listed(model) for model in await asyncio.to_thread(hub.local)]})


@router.get("/ps")
async def ps(request: Request) -> Response:
    """All models that are loaded; each stays until another needs its place."""
    manager: ModelManager = request.app.state.models
    hub: Hub = request.app.state.hub
    local = {model.name: model for model in await asyncio.to_thread(hub.local)}
    running = []
    for status in manager.loaded():
        if (loaded := status.description) is not None:
            pulled = local.get(status.name)
            running.append(
                {
                    "name": status.name,
                    "model": status.name,
                    "size": loaded.weight_bytes,
                    "size_vram": 0,
                    "digest": pulled.sha256 if pulled else "",
                    "details": _details(loaded.architecture, loaded.parameters, loaded.quantisation),
                    "expires_at": timestamp(time.time() + NEVER_SECONDS),
                    "context_length": loaded.context,
                }
            )
    return json_response({"models": running})


@router.post("/show", openapi_extra=request_schema(ModelBody))
async def show(request: Request, services: Services) -> Response:
    """What a model on disk is."""
    body = await ModelBody.read(request)
    hub: Hub = request.app.state.hub
    name = known_model(request.app.state.models, body.name)
    path = await asyncio.to_thread(hub.find, name)
    if path is None:
        raise NotFound(f"{name} is not on disk. Fetch it first: POST /api/pull.", param="model")
    described = await asyncio.to_thread(services.library.describe, path)
    family = described.architecture
    return json_response(
        {
            "license": described.licence or "",
            "modelfile": f"FROM {name}",
            "parameters": "",
            "template": getattr(described, "dialect", None) or "",
            "details": _details(family, described.parameters, getattr(described, "loaded_as", "")),
            "model_info": _info(described),
            "capabilities": _capabilities(described),
            "modified_at": timestamp(path.stat().st_mtime),
        }
    )


@router.post("/pull", openapi_extra=request_schema(PullBody))
async def pull(request: Request, services: Services) -> Response:
    """Fetch a model. The application shows it too, and it goes on when the client leaves: asking again joins it."""
    body = await PullBody.read(request)
    library = services.library
    name = library.canonical(body.name)  # one that is not known is an HTTP error, not a broken stream
    await note(request, "model.pull", "model", name)
    progress = _progress(library, body.name)
    if body.stream:
        return Lines(_as_lines(progress), progress)

    async def answer() -> Response:
        async with aclosing(progress):
            async for step in progress:
                if "error" in step:
                    raise HubError(step["error"])
        return json_response({"status": "success"})

    return await answer_while_connected(request, answer())


@router.delete("/delete", openapi_extra=request_schema(ModelBody))
async def delete(request: Request) -> Response:
    """Unload a model that was pulled and delete it from the disk."""
    body = await ModelBody.read(request)
    name = await delete_model(request.app.state.hub, request.app.state.models, body.name)
    await note(request, "model.delete", "model", name)
    return Response()


async def _progress(library: Library, name: str) -> AsyncGenerator[dict[str, Any], None]:
    """How a fetch goes on, from now to its end."""
    changes: asyncio.Queue[Model] = asyncio.Queue()
    unwatch = library.watch(changes.put_nowait)
    try:
        model = await library.pull(name)
        yield {"status": "pulling manifest"}
        while not model.on_disk:
            if model.pull is None:
                yield {"error": f"Fetching {model.name} was stopped."}
                return
            if model.pull.error is not None:
                yield {"error": model.pull.error.message}
                return
            yield {
                "status": f"pulling {model.name}",
                "digest": model.name,  # clients take it for the name of what is on its way, and show no more of it
                "total": model.pull.total,
                "completed": model.pull.done,
            }
            wanted = model.name
            while (model := await changes.get()).name != wanted:
                pass
        yield {"status": "success"}
    finally:
        unwatch()


async def _as_lines(steps: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    async for step in steps:
        yield line(step)


def _info(described: Description) -> dict[str, Any]:
    """What a model is, by GGUF's names."""
    family = described.architecture
    info = {
        "general.architecture": family,
        "general.basename": described.title,
        "general.parameter_count": described.parameters,
    }
    sizes = {
        "context_length": "context",
        "embedding_length": "width",
        "block_count": "layers",
        "feed_forward_length": "mlp_width",
        "attention.head_count": "heads",
        "attention.head_count_kv": "kv_heads",
    }
    return info | {
        f"{family}.{key}": getattr(described, name) for key, name in sizes.items() if hasattr(described, name)
    }


def _capabilities(described: Description) -> list[str]:
    """What editors ask before they offer a model for something. Every model that is made to chat can call tools."""
    if (kind := getattr(described, "kind", "decoder")) != "decoder":
        return ["embedding"] if kind == "encoder" else []
    template = getattr(described, "template", None) or ""
    chats = getattr(described, "dialect", "plain") != "plain"
    thinks = any(mark in template for mark in THINKING_MARKS)
    fills = getattr(described, "infill", False)
    return ["completion"] + ["insert"] * fills + ["tools"] * chats + ["thinking"] * thinks


def _listed(model: LocalModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": timestamp(model.pulled_at),
        "size": model.bytes,
        "digest": model.sha256,
        "details": _details("", model.entry.parameters if model.entry else 0, ""),
    }


def _details(family: str, parameters: int, quantisation: str) -> dict[str, Any]:
    """Ollama's description of a model; what is not known without opening its file is empty."""
    billions = parameters / 1e9
    size = f"{billions:.1f}B" if billions >= 1 else f"{parameters / 1e6:.2f}M"
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family] if family else [],
        "parameter_size": size if parameters else "",
        "quantization_level": quantisation,
    }
