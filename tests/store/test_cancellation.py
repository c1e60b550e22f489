"""Work that is cut off in the middle of a statement, as when its client leaves, holds up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from myna.store import memory, sqlite
from myna.store.database import Database
from myna.store.scope import Scope
from tests.patience import WAIT_SECONDS


@pytest.fixture(params=["file", "memory"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1)  # if it is locked, it stays so
    database = await (Database.open(tmp_path) if request.param == "file" else memory.open_database(1 << 20))
    yield database
    await database.close()


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_a_cancelled_task_leaves_no_lock(place: Database, kind: str) -> None:
    running, go_on = threading.Event(), threading.Event()

    def pause() -> int:
        running.set()
        return int(go_on.wait(WAIT_SECONDS))

    async def work(scope: Scope) -> None:
        raw = await scope.transaction.connection.get_raw_connection()
        await raw.driver_connection.create_function("pause", 0, pause)  # type: ignore[union-attr]
        await scope.all(text("SELECT pause(), name FROM sqlite_master"))

    async def begin() -> None:
        async with place.read("ann") if kind == "read" else place.write("ann") as scope:
            await work(scope)

    task = asyncio.create_task(begin())
    assert await asyncio.to_thread(running.wait, WAIT_SECONDS)
    task.cancel()
    go_on.set()
    await asyncio.wait({task})
    # Its traceback, which the task keeps, holds the cursor: as if the garbage collector had not come yet.
    assert task.cancelled()
    async with place.write("ann") as scope:
        await scope.transaction.connection.execute(text("CREATE TABLE later (number INTEGER)"))
    async with place.read("ann") as scope:
        assert await scope.all(text("SELECT * FROM later")) == []
