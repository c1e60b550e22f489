"""The tokens of a day, which a restart does not give back."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from myna.errors import QuotaExhausted, StoreError
from myna.server import quotas
from myna.server.quotas import Usage
from myna.store import usage
from myna.store.database import Database, opened
from myna.store.usage import DayUsage
from tests.patience import WAIT_SECONDS

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = NOON.date()


async def stored(database: Database, owner: str) -> list[DayUsage]:
    async with database.read(owner) as scope:
        return await usage.of_days(scope, date(2026, 1, 1), date(2026, 12, 31))


def test_a_spent_day_is_refused_until_midnight() -> None:
    used = Usage(lambda: NOON)
    used.add("ann", None, "m", prompt=60, completion=39)
    used.check("ann", 100)
    used.add("ann", "key_1", "n", completion=1)
    with pytest.raises(QuotaExhausted, match="100 tokens") as refused:
        used.check("ann", 100)
    assert refused.value.retry_after == 12 * 3600
    used.check("ben", 100)
    for unlimited in (None, 0):
        used.check("ann", unlimited)


def test_at_midnight_there_are_new_ones() -> None:
    clock = [NOON]
    used = Usage(lambda: clock[0])
    used.add("ann", None, "m", prompt=100)
    clock[0] += timedelta(hours=12)
    used.check("ann", 100)


async def test_a_restart_gives_nothing_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        used = Usage(lambda: NOON)
        async with used.stored(database):
            used.add("ann", "key_1", "m", requests=1)
            used.add("ann", "key_1", "m", prompt=60, completion=40)
        assert await stored(database, "ann") == [DayUsage(TODAY, "m", "key_1", 1, 60, 40)]
    async with opened(tmp_path) as database:
        used = Usage(lambda: NOON)
        async with used.stored(database):
            with pytest.raises(QuotaExhausted):
                used.check("ann", 100)
        tomorrow = Usage(lambda: NOON + timedelta(days=1))
        async with tomorrow.stored(database):
            tomorrow.check("ann", 100)
        assert await stored(database, "ann") == [DayUsage(TODAY, "m", "key_1", 1, 60, 40)]


async def test_it_is_written_while_the_server_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "WRITE_SECONDS", 0.001)
    async with opened(tmp_path) as database, asyncio.timeout(WAIT_SECONDS):
        used = Usage(lambda: NOON)
        async with used.stored(database):
            used.add("ann", None, "m", requests=1, prompt=5)
            while not await stored(database, "ann"):
                pass  # the writer has its turns while this reads
            used.add("ann", None, "m", requests=1, completion=5)
        assert await stored(database, "ann") == [DayUsage(TODAY, "m", "", 2, 5, 5)]


async def test_what_the_disk_refuses_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as database:
        used = Usage(lambda: NOON)
        used.add("ann", None, "m", prompt=5)
        with monkeypatch.context() as full:

            async def refuse(*_: object) -> None:
                used.add("ann", None, "m", prompt=2)  # meanwhile
                raise StoreError("The disk is full.")

            full.setattr(usage, "add", refuse)
            with pytest.raises(StoreError):
                await used.write(database)
        await used.write(database)
        assert await stored(database, "ann") == [DayUsage(TODAY, "m", "", 0, 7, 0)]
        await used.write(database)
        assert await stored(database, "ann") == [DayUsage(TODAY, "m", "", 0, 7, 0)]
