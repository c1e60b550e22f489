"""Running a server for others: what owners decide for everybody."""

from __future__ import annotations

from fastapi import APIRouter, Request

from myna.errors import InvalidParameter
from myna.server.api import admin_types as types
from myna.server.api.services import Services
from myna.server.identity import identity_of
from myna.server.options import ServerOptions

router = APIRouter(prefix="/api/admin")


@router.get("/options")
async def get_options(request: Request) -> types.Options:
    """What holds for everybody."""
    return types.Options.model_validate(_options(request).current)


@router.patch("/options")
async def change_options(request: Request, services: Services, patch: types.OptionsPatch) -> types.Options:
    """Decide something for everybody; it holds at once."""
    values = patch.model_dump(exclude_unset=True)
    if not values:
        raise InvalidParameter(f"Nothing to change: give one of {', '.join(types.OptionsPatch.model_fields)}.")
    if values.get("default_model") is not None:
        values["default_model"] = services.library.canonical(values["default_model"])
    return types.Options.model_validate(await _options(request).change(identity_of(request), **values))


def _options(request: Request) -> ServerOptions:
    options: ServerOptions = request.app.state.options
    return options
