from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from myna.store import migrations
from myna.store.database import Database, opened
from tests.postgres import PostgreSQL

NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "later"
down_revision = "{migrations.HEAD}"


def upgrade():
"""


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


@pytest.fixture
def later(tmp_path: Path) -> Callable[[str], Path]:
    """Migrations as of a later version whose next revision has a given body."""

    def scripts(body: str) -> Path:
        versions = tmp_path / "later" / "versions"
        versions.mkdir(parents=True)
        for script in (migrations.SCRIPTS / "versions").glob("v*.py"):
            (versions / script.name).write_text(script.read_text())
        (versions / "v9999_later.py").write_text(NEXT + body)
        return versions.parent

    return scripts
