from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from myna.settings import Settings
from tests.server.people import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A running application without accounts, on loopback."""
    async with house(Settings(data_dir=tmp_path)) as running:
        yield running
