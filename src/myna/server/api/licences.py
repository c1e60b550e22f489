"""Licences that forbid something: what a user has acknowledged, and acknowledging one."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from myna.errors import InvalidParameter
from myna.hub.licences import Licence
from myna.server.api import types
from myna.server.api.services import Owner, Services
from myna.server.identity import identity_of
from myna.store import acknowledgements, audit
from myna.store.records import Acknowledgement, now

router = APIRouter(prefix="/api/licences")


@router.get("")
async def list_acknowledged(services: Services, owner: Owner) -> types.AcknowledgementList:
    """Licences that the caller has acknowledged."""
    async with services.database.read(owner) as scope:
        return types.AcknowledgementList.model_validate({"acknowledged": await acknowledgements.listed(scope)})


@router.post("", status_code=201)
async def acknowledge(
    services: Services, owner: Owner, asked: types.NewAcknowledgement, request: Request, response: Response
) -> types.Acknowledgement:
    """Say that the licence of a model was read; 200 when that was done before."""
    model = services.library.canonical(asked.model)
    found = await asyncio.to_thread(services.library.licence, model)
    if found is None or found.id != asked.licence:
        raise InvalidParameter(
            f"The licence of {model} is {_name(found)}, not {asked.licence!r}. Read that one.", param="licence"
        )
    made = Acknowledgement(found.id, model, now())
    async with services.database.write(owner) as scope:
        if await acknowledgements.add(scope, made):
            await audit.record(scope, identity_of(request), "licence.acknowledge", "licence", found.id, model=model)
        else:
            response.status_code = 200
    return types.Acknowledgement.model_validate(made)


def _name(found: Licence | None) -> str:
    return "not known" if found is None else repr(found.id)
