"""Presets: parameters and a system prompt under a name, to be used in any chat."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func

from myna.errors import NotFound
from myna.store.records import Preset
from myna.store.scope import Scope
from myna.store.tables.models import presets

COLUMNS = [column for column in presets.c if column is not presets.c.owner]


def _preset(row: Row[Any]) -> Preset:
    return Preset(**row._mapping)


def _missing(preset_id: str) -> NotFound:
    return NotFound(f"There is no preset {preset_id}; it may have been deleted.", param="preset")


async def listed(scope: Scope) -> list[Preset]:
    """All of the owner's, by name."""
    rows = await scope.all(scope.select(presets, *COLUMNS).order_by(func.lower(presets.c.name), presets.c.id))
    return [_preset(row) for row in rows]


async def count(scope: Scope) -> int:
    """How many the owner has."""
    row = await scope.first(scope.select(presets, func.count().label("number")))
    assert row is not None
    return int(row.number)


async def find(scope: Scope, preset_id: str) -> Preset | None:
    """A preset, or None if the owner has none of this id."""
    row = await scope.first(scope.select(presets, *COLUMNS).where(presets.c.id == preset_id))
    return None if row is None else _preset(row)


async def add(scope: Scope, preset: Preset) -> None:
    """Insert a preset; if it is the default of new chats, no other is any more."""
    if preset.is_default:
        await _only_default(scope)
    await scope.add(presets, {column.name: getattr(preset, column.name) for column in COLUMNS})


async def update(scope: Scope, preset_id: str, **values: Any) -> Preset:
    """Change columns of a preset.

    Raises:
        NotFound: the owner has none of this id.
    """
    if values.get("is_default"):
        await _only_default(scope)
    row = await scope.first(scope.update(presets).where(presets.c.id == preset_id).values(**values).returning(*COLUMNS))
    if row is None:
        raise _missing(preset_id)
    return _preset(row)


async def remove(scope: Scope, preset_id: str) -> None:
    """Delete a preset; chats that it was used in keep what it said.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(presets).where(presets.c.id == preset_id)):
        raise _missing(preset_id)


async def _only_default(scope: Scope) -> None:
    await scope.run(scope.update(presets).where(presets.c.is_default).values(is_default=False))
