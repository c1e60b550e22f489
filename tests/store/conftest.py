from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from myna.store.database import Database, opened
from tests.postgres import PostgreSQL


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    """An empty database of it."""
    return postgresql.create()


@pytest.fixture(params=["SQLite", "PostgreSQL"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store, of either kind."""
    where = request.getfixturevalue("url") if request.param == "PostgreSQL" else None
    async with opened(tmp_path, where) as database:
        yield database


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store in a file."""
    async with opened(tmp_path) as database:
        yield database
