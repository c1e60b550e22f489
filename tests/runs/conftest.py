from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from myna.runs.service import RunService
from myna.store.database import Database
from tests.runs.conversation import Talk
from tests.runs.scripted import ScriptedBackend, ScriptedModels


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path)
    yield database
    await database.close()


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend()


@pytest.fixture
def models(backend: ScriptedBackend) -> ScriptedModels:
    return ScriptedModels(backend)


@pytest.fixture
async def service(database: Database, models: ScriptedModels) -> AsyncIterator[RunService]:
    service = RunService(database, models)
    await service.start()
    yield service
    await service.close()


@pytest.fixture
def talk(service: RunService, backend: ScriptedBackend) -> Talk:
    return Talk(service, backend)
