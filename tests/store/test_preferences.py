from __future__ import annotations

import pytest
from sqlalchemy import update

from myna.errors import Conflict
from myna.store import changes, preferences
from myna.store.database import Database
from myna.store.preferences import Preferences
from myna.store.tables.preferences import preferences as table


async def test_what_was_never_chosen_has_its_default(database: Database) -> None:
    async with database.read("local") as scope:
        assert await preferences.get(scope) == Preferences(None, "", None, None, 0)


async def test_a_choice_leaves_the_others_and_is_told_of(database: Database) -> None:
    async with database.write("ann") as scope:
        await preferences.change(scope, instructions="Answer in verse.", language="de")
    async with database.write("ann") as scope:
        changed = await preferences.change(scope, language=None, theme="dark")
    assert changed == Preferences(None, "Answer in verse.", None, "dark", 2)
    async with database.read("ann") as scope:
        assert await preferences.get(scope) == changed
        told = await changes.after(scope, 0, 10)
        assert told is not None
        assert [(change.kind, change.id) for change in told] == [("preferences", "preferences")] * 2
    async with database.read("ben") as scope:
        assert await preferences.get(scope) == Preferences()


async def test_nobody_overwrites_what_he_has_not_read(database: Database) -> None:
    async with database.write("ann") as scope:
        await preferences.change(scope, version=0, instructions="first")
    with pytest.raises(Conflict):
        async with database.write("ann") as scope:
            await preferences.change(scope, version=0, instructions="second")
    async with database.read("ann") as scope:
        assert (await preferences.get(scope)).instructions == "first"


async def test_what_a_later_version_has_chosen_is_kept(database: Database) -> None:
    async with database.write("ann") as scope:
        await preferences.change(scope, theme="light")
        await scope.run(update(table).values(document={"theme": "light", "colour": "teal"}))
        assert (await preferences.change(scope, language="fr")).theme == "light"
        row = await scope.first(scope.select(table))
    assert row is not None
    assert row.document == {"theme": "light", "colour": "teal", "language": "fr"}
