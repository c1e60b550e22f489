"""``POST /v1/load_lora_adapter`` and ``/v1/unload_lora_adapter``, under the names that vLLM gave them."""

from __future__ import annotations

from typing import Annotated, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import Response

from myna.server.acts import note
from myna.server.errors import json_response
from myna.server.openai.generation import DEFAULT_MODEL_ALIAS, Models, adapted, known_model

router = APIRouter(prefix="/v1")

Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class AdaptableModels(Models, Protocol):
    """Models that take adapters; `myna.backends.manager.ModelManager` is one, and says what is raised."""

    async def load_adapter(self, model: str, name: str, path: str) -> None: ...

    async def unload_adapter(self, model: str, name: str) -> None: ...


class AdapterName(BaseModel):
    """An adapter of a model; without one, of the default model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lora_name: Text
    model: Text = DEFAULT_MODEL_ALIAS


class NewAdapter(AdapterName):
    """``lora_path``: a directory in the one for adapters (see docs/settings.md)."""

    lora_path: Text


@router.post("/load_lora_adapter")
async def load_lora_adapter(request: Request, body: NewAdapter) -> Response:
    """Load an adapter; requests ask for it as ``model`` or as ``adapter``."""
    models: AdaptableModels = request.app.state.models
    name = known_model(models, body.model)
    await models.load_adapter(name, body.lora_name, body.lora_path)
    await note(request, "adapter.load", "model", name, adapter=body.lora_name)
    return json_response({"id": adapted(name, body.lora_name), "object": "model", "parent": name})


@router.post("/unload_lora_adapter")
async def unload_lora_adapter(request: Request, body: AdapterName) -> Response:
    """Unload an adapter; answers that use it are still finished."""
    models: AdaptableModels = request.app.state.models
    name = known_model(models, body.model)
    await models.unload_adapter(name, body.lora_name)
    await note(request, "adapter.unload", "model", name, adapter=body.lora_name)
    return json_response({"id": adapted(name, body.lora_name), "object": "model", "deleted": True})
