from __future__ import annotations

from myna.store import acknowledgements, chats, presets, speeds
from myna.store.database import Database
from myna.store.records import Acknowledgement, Speed
from tests.store.rows import OWNER, chat, preset


async def test_a_preset_comes_back_as_it_was_and_one_at_most_is_the_default(database: Database) -> None:
    first, second = preset(name="beta", is_default=True), preset(name="Alpha", model="m", parameters={})
    async with database.write(OWNER) as scope:
        await presets.add(scope, first)
        await presets.add(scope, second)
        assert await presets.listed(scope) == [second, first]
        changed = await presets.update(scope, second.id, is_default=True, parameters={"seed": 2**60})
        assert (changed.is_default, changed.parameters) == (True, {"seed": 2**60})
        assert [each.is_default for each in await presets.listed(scope)] == [True, False]
        await presets.remove(scope, second.id)
        assert await presets.find(scope, second.id) is None
        assert await presets.count(scope) == 1


async def test_the_default_of_another_owner_stays(database: Database) -> None:
    async with database.write("one") as scope:
        await presets.add(scope, preset(is_default=True))
    async with database.write("two") as scope:
        await presets.add(scope, preset(is_default=True))
    async with database.read("one") as scope:
        assert [each.is_default for each in await presets.listed(scope)] == [True]


async def test_the_first_acknowledgement_of_a_licence_stays(database: Database) -> None:
    async with database.write(OWNER) as scope:
        assert await acknowledgements.add(scope, Acknowledgement("gemma", "gemma-2b", 5))
        assert not await acknowledgements.add(scope, Acknowledgement("gemma", "gemma-9b", 6))
        assert await acknowledgements.has(scope, "gemma")
        assert not await acknowledgements.has(scope, "llama3")
        assert await acknowledgements.listed(scope) == [Acknowledgement("gemma", "gemma-2b", 5)]


async def test_speeds_are_replaced_by_model(database: Database) -> None:
    async with database.transaction() as transaction:
        await speeds.save(transaction, [Speed("a", 10, 1, 1), Speed("b", 20.5, 1.25, 2)])
        await speeds.save(transaction, [Speed("a", 30, 2, 3)])
        assert sorted(await speeds.load(transaction), key=lambda speed: speed.model) == [
            Speed("a", 30, 2, 3),
            Speed("b", 20.5, 1.25, 2),
        ]


async def test_a_chat_keeps_its_prompt_and_parameters_until_they_are_cleared(database: Database) -> None:
    made = chat(system_prompt="", parameters={"temperature": 0.5, "stop": ["\n"]})
    async with database.write(OWNER) as scope:
        await chats.create(scope, made)
        assert await chats.get(scope, made.id) == made
        cleared = await chats.update(scope, made.id, system_prompt=None, parameters=None)
        assert (cleared.system_prompt, cleared.parameters) == (None, None)
