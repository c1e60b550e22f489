from __future__ import annotations

import asyncio

from myna.server.openai.batches.turns import Key, Turns

ADA, ADAS_OTHER, BEN = ("ada", "1"), ("ada", "2"), ("ben", "1")


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def taken(turns: Turns, key: Key) -> bool:
    """Whether a turn is there at once; if not, the wait is given up."""
    task = asyncio.create_task(turns.take(key))
    await settle()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        return False
    return True


async def test_there_are_so_many_and_one_for_each_that_has_none() -> None:
    turns = Turns(3)
    assert [await taken(turns, ADA) for _ in range(4)] == [True, True, True, False]
    assert [await taken(turns, BEN) for _ in range(2)] == [True, False]
    turns.give(ADA)
    assert not await taken(turns, ADA), "there is one too many out still"
    turns.give(ADA)
    assert await taken(turns, ADA)


async def test_whoever_has_least_is_next() -> None:
    turns = Turns(5)
    for key in (ADA, ADA, ADA, ADAS_OTHER, BEN):
        await turns.take(key)
    order: list[Key] = []

    async def wait(key: Key) -> None:
        await turns.take(key)
        order.append(key)

    waiting = [asyncio.create_task(wait(key)) for key in (ADA, ADAS_OTHER, BEN)]
    await settle()
    for key in (ADAS_OTHER, ADA, ADA):
        turns.give(key)
        await settle()
    assert order == [BEN, ADAS_OTHER, ADA], "first the owner who has least, then his batch that has least"
    await asyncio.gather(*waiting)


async def test_giving_up_loses_no_turn() -> None:
    turns = Turns(1)
    await turns.take(ADA)
    task = asyncio.create_task(turns.take(ADA))
    await settle()
    turns.give(ADA)  # granted
    task.cancel()  # before it has noticed
    await asyncio.wait({task})
    assert turns.free == 1
    assert await taken(turns, ADA)
