"""A model's backend, after those that use the memory which it needs."""

from __future__ import annotations

from myna.backends.base import Backend
from myna.backends.manager import ModelManager
from myna.errors import ModelTooLarge


async def in_turn(models: ModelManager, name: str) -> Backend:
    """As `ModelManager.get`; while other models that are in use leave no room for this one, wait until they are done.

    So answers of several models at once come one after another where they do not fit into memory together.

    Raises:
        ModelTooLarge: it does not fit, and no other model is in use.
        MynaError: whatever else `ModelManager.get` raises.
    """
    alone = False
    while True:
        try:
            return await models.get(name)
        except ModelTooLarge:
            if models.others_in_use(name):
                alone = False
                await models.room()
            elif alone:
                raise
            else:  # the last of the others may have ended just after this one was refused
                alone = True
