"""Presets: parameters and a system prompt under a name."""

from __future__ import annotations

from typing import Any

from myna.server.api.types.base import Answer, Id, ModelName, PresetName, Request, SystemPrompt
from myna.server.api.types.requests import Parameters


class NewPreset(Request):
    """Body of ``POST /api/presets``."""

    id: Id
    name: PresetName
    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None
    parameters: Parameters = Parameters()
    is_default: bool = False


class PresetPatch(Request):
    """Body of ``PATCH /api/presets/{id}``: what is absent stays."""

    name: PresetName = ""
    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None
    parameters: Parameters = Parameters()
    is_default: bool = False


class Preset(Answer):
    """Parameters and a system prompt under a name."""

    id: str
    name: str
    model: str | None
    system_prompt: str | None
    parameters: dict[str, Any]
    is_default: bool
    created_at: int


class PresetList(Answer):
    """Answer to ``GET /api/presets``."""

    presets: list[Preset]
