"""What a tab needs to begin with."""

from __future__ import annotations

from fastapi import APIRouter

import myna
from myna.server.api import types
from myna.server.api.services import Owner, Services
from myna.store import changes

router = APIRouter(prefix="/api")


@router.get("/session")
async def session(services: Services, owner: Owner) -> types.Session:
    """Version, user, default model, and the cursor from which list changes are to be followed."""
    async with services.database.read(owner) as scope:
        cursor = await changes.latest(scope)
    return types.Session(
        version=myna.__version__,
        default_model=services.library.default,
        user=types.User(id=owner, name="You"),
        list_cursor=cursor,
    )
