from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from myna.settings import Settings
from tests.server.people import House, Person, house, quick_passwords


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_passwords():
        yield


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A running application without accounts, on loopback."""
    async with house(Settings(data_dir=tmp_path)) as running:
        yield running


@pytest.fixture
async def ann(home: House) -> Person:
    """The owner."""
    return await home.first()
