"""What a user has chosen for himself: one document each, of which every choice has a default.

A document, because a choice more is no reason for a migration: what it lacks has its default, and what a later version
has put into it is kept.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert

from myna.errors import Conflict
from myna.store import changes
from myna.store.records import now
from myna.store.scope import Scope
from myna.store.tables.preferences import preferences

Theme = Literal["system", "light", "dark", "contrast"]

CHANGE_ID = "preferences"
"""In the list of changes; there is one document, and this is it."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """A user's choices.

    Attributes:
        display_name: how the application speaks to the user; None: by the name of the account.
        instructions: what every model is told before every chat; empty: nothing.
        language: of the pages, as a tag of BCP 47; None: the browser's.
        theme: of the pages; None: each browser's own.
        version: counts the changes; 0 before the first.
    """

    display_name: str | None = None
    instructions: str = ""
    language: str | None = None
    theme: Theme | None = None
    version: int = 0


CHOICES = tuple(field.name for field in dataclasses.fields(Preferences) if field.name != "version")


async def get(scope: Scope) -> Preferences:
    """The owner's preferences; the defaults, if he has changed none."""
    row = await scope.first(scope.select(preferences))
    return Preferences() if row is None else _preferences(row.document, row.version)


async def change(scope: Scope, *, version: int | None = None, **values: Any) -> Preferences:
    """Change some choices, and leave the others as they are.

    Args:
        scope: whose.
        version: as of which they are changed; None: whatever they are.
        values: the new choices, by the attributes of `Preferences`.

    Raises:
        Conflict: they are no longer of that version.
    """
    row = await scope.first(scope.select(preferences))
    before = 0 if row is None else row.version
    if version is not None and version != before:
        raise Conflict("The preferences were changed elsewhere meanwhile. Read them again.", param="version")
    document = {**({} if row is None else row.document), **values}
    stored = {"document": document, "version": before + 1, "updated_at": now()}
    if row is None:
        await scope.run(insert(preferences).values(owner=scope.owner, **stored))
    else:
        await scope.run(scope.update(preferences).values(**stored))
    await changes.record(scope, "preferences", CHANGE_ID)
    return _preferences(document, before + 1)


def _preferences(document: dict[str, Any], version: int) -> Preferences:
    return Preferences(**{name: document[name] for name in CHOICES if name in document}, version=version)
