from __future__ import annotations

import pytest

from tests.server.people import House, Person


@pytest.fixture(autouse=True)
def _quick(quick: None) -> None:
    pass


@pytest.fixture
async def ann(home: House) -> Person:
    """The owner."""
    return await home.first()
