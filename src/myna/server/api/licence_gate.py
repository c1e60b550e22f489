"""No answer of a model whose licence forbids something, before its user has acknowledged it."""

from __future__ import annotations

import asyncio

from myna.errors import LicenceNotAcknowledged, NotFound
from myna.server.api.library import Library
from myna.store import acknowledgements
from myna.store.scope import Scope


class LicenceGate:
    """Asked before every answer that the application has a model give."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def __call__(self, scope: Scope, model: str) -> None:
        """Let the scope's owner use a model.

        Raises:
            LicenceNotAcknowledged: its licence forbids something, and he has not said that he has read it.
        """
        try:
            found = await asyncio.to_thread(self._library.licence, model)
        except NotFound:  # it is gone, and the run will say so
            return
        if found is not None and found.forbids and not await acknowledgements.has(scope, found.id):
            raise LicenceNotAcknowledged(model, found.title, found.url)
