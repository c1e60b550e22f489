from __future__ import annotations

import asyncio

import pytest

from myna.server.tasks import beside


async def test_work_ends_with_the_block() -> None:
    told: list[str] = []

    async def work() -> None:
        told.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            told.append("ended")

    async with beside(work()):
        await asyncio.sleep(0)
        assert told == ["begun"]
    assert told == ["begun", "ended"]


async def test_what_stopped_the_work_is_told_at_the_end() -> None:
    async def work() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        async with beside(work()):
            await asyncio.sleep(0)
