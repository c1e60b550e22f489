"""How the server is, for owners and admins: what it runs on, what it holds, and what wants to be done about it."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import Any

from fastapi import APIRouter, Request

import myna
from myna import hardware
from myna.backends.manager import ModelManager, ModelStatus
from myna.server.api import admin_types as types
from myna.server.api.services import Known, Services
from myna.server.metrics import Metrics
from myna.settings import Settings
from myna.store import backup, migrations
from myna.store.database import LEAST_FREE
from myna.store.inspection import BACKUP_DAYS
from myna.store.records import now

router = APIRouter(prefix="/api/admin")

LEAST_MEMORY = 0.05
"""Part of the memory that should be available, before programs are killed for it."""


@router.get("/health")
async def health(request: Request, services: Services, accounts: Known) -> types.Health:
    """How the server is now."""
    state = request.app.state
    settings: Settings = state.settings
    disk = await asyncio.to_thread(shutil.disk_usage, settings.data_dir)
    memory = await asyncio.to_thread(hardware.memory)
    last = await asyncio.to_thread(backup.last, settings.data_dir)
    answered = outcomes(state.metrics)
    found = types.Health(
        version=myna.__version__,
        started_at=state.started_at,
        now=now(),
        database=types.DatabaseHealth(
            kind="postgresql" if services.database.place.file is None else "sqlite",
            place=services.database.place.name,
            bytes=await services.database.size(),
            revision=migrations.HEAD,
        ),
        data_dir=str(settings.data_dir),
        disk=types.Space(total=disk.total, free=disk.free),
        memory=types.Space(total=memory.total, free=memory.available),
        server_bytes=await asyncio.to_thread(hardware.resident_memory, os.getpid()),
        engines=await engines(services.manager),
        requests=sum(answered.values()),
        client_errors=sum(count for status, count in answered.items() if 400 <= status < 500),
        server_errors=sum(count for status, count in answered.items() if status >= 500),
        users=len(accounts.directory.users),
        sessions=len(accounts.directory.sessions),
        last_backup=None if last is None else types.LastBackup(at=last.made_at, path=last.path, bytes=last.bytes),
        warnings=[],
    )
    found.warnings = warnings(found, services.readiness() is not None, state.options.current.sign_up == "open")
    return found


def warnings(found: types.Health, store_fails: bool, is_open: bool) -> list[types.Advice]:
    """What somebody should do something about, the most urgent first."""
    told: list[types.Advice] = []

    def tell(code: types.AdviceCode, **values: Any) -> None:
        told.append(types.Advice(code=code, values=values))

    if store_fails:
        tell("store_fails")
    if found.disk.free < LEAST_FREE:
        tell("disk_low", free=found.disk.free)
    if found.memory.free < LEAST_MEMORY * found.memory.total:
        tell("memory_low", free=found.memory.free)
    for engine in found.engines:
        if engine.error is not None:
            tell("engine_failed", model=engine.model, error=engine.error)
    if found.last_backup is None:
        tell("no_backup")
    elif (days := (found.now - found.last_backup.at) // 86_400_000) > BACKUP_DAYS:
        tell("old_backup", days=days)
    if is_open:
        tell("sign_up_open")
    return told


async def engines(manager: ModelManager) -> list[types.Engine]:
    """The models that are loaded, load, or could not be loaded."""
    figures = await manager.statistics()
    return [await asyncio.to_thread(_engine, status, figures.get(status.name, {})) for status in manager.loaded()]


def _engine(status: ModelStatus, figures: dict[str, float]) -> types.Engine:
    process = status.process_id
    return types.Engine(
        model=status.name,
        state="failed" if status.state == "failed" else "loading" if status.state == "loading" else "ready",
        error=None if status.error is None else status.error.message,
        bytes=None if process is None else hardware.resident_memory(process),
        running=int(figures.get("requests_running", status.running)),
        waiting=int(figures.get("requests_waiting", 0)),
        generated_tokens=int(figures.get("generated_tokens_total", 0)),
    )


def outcomes(metrics: Metrics) -> dict[int, int]:
    """HTTP requests since the start, by status."""
    counts: dict[int, int] = {}
    for family in metrics.requests.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and (status := sample.labels["status"]).isdigit():
                counts[int(status)] = counts.get(int(status), 0) + int(sample.value)
    return counts
