"""What one has chosen for oneself."""

from __future__ import annotations

from fastapi import APIRouter

from myna.errors import InvalidParameter
from myna.server.api import account_types as types
from myna.server.api.services import Owner, Services
from myna.store import preferences

router = APIRouter(prefix="/api/account/preferences")


@router.get("")
async def get_preferences(services: Services, owner: Owner) -> types.Preferences:
    """One's preferences; what was never chosen has its default."""
    async with services.database.read(owner) as scope:
        return types.Preferences.model_validate(await preferences.get(scope))


@router.patch("")
async def change_preferences(services: Services, owner: Owner, patch: types.PreferencesPatch) -> types.Preferences:
    """Choose anew what is given; all tabs of the user hear of it."""
    values = patch.model_dump(exclude_unset=True)
    version = values.pop("version", None)
    if not values:
        raise InvalidParameter("Nothing to change: give display_name, instructions, language or theme.")
    async with services.database.write(owner) as scope:
        return types.Preferences.model_validate(await preferences.change(scope, version=version, **values))
