"""Presets: parameters and a system prompt under a name."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response

from myna.errors import Conflict, InvalidParameter
from myna.server.api import types
from myna.server.api.services import Owner, Services
from myna.store import presets
from myna.store.records import Preset, now

router = APIRouter(prefix="/api/presets")

MOST_PRESETS = 200
"""Of one user: the list is shown whole."""


@router.get("")
async def list_presets(services: Services, owner: Owner) -> types.PresetList:
    """The caller's presets, by name."""
    async with services.database.read(owner) as scope:
        return types.PresetList.model_validate({"presets": await presets.listed(scope)})


@router.post("", status_code=201)
async def make_preset(services: Services, owner: Owner, asked: types.NewPreset, response: Response) -> types.Preset:
    """Keep a preset; 200 when that was done before."""
    parameters = asked.parameters.model_dump(exclude_none=True)
    preset = Preset(
        asked.id, asked.name, _known(services, asked.model), asked.system_prompt, parameters, asked.is_default, now()
    )
    async with services.database.write(owner) as scope:
        if (known := await presets.find(scope, asked.id)) is not None:
            if known != replace(preset, created_at=known.created_at):
                raise Conflict(f"There is another preset {asked.id} already; make a new id.", param="id")
            response.status_code = 200
            return types.Preset.model_validate(known)
        if await presets.count(scope) >= MOST_PRESETS:
            raise Conflict(f"You have {MOST_PRESETS} presets; delete one before you keep another.")
        await presets.add(scope, preset)
    return types.Preset.model_validate(preset)


@router.patch("/{preset_id}")
async def change_preset(
    services: Services, owner: Owner, preset_id: types.Id, patch: types.PresetPatch
) -> types.Preset:
    """Rename a preset, change what it says, or make it the default of new chats."""
    values = patch.model_dump(exclude_unset=True)
    if not values:
        raise InvalidParameter("Nothing to change: give name, model, system_prompt, parameters or is_default.")
    if "parameters" in values:
        values["parameters"] = types.given(patch.parameters)
    if "model" in values:
        values["model"] = _known(services, patch.model)
    async with services.database.write(owner) as scope:
        return types.Preset.model_validate(await presets.update(scope, preset_id, **values))


@router.delete("/{preset_id}", status_code=204)
async def delete_preset(services: Services, owner: Owner, preset_id: types.Id) -> None:
    """Delete a preset; chats keep what it said."""
    async with services.database.write(owner) as scope:
        await presets.remove(scope, preset_id)


def _known(services: Services, model: str | None) -> str | None:
    return None if model is None else services.library.canonical(model)
