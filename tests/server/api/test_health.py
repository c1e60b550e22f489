"""How the server is, told to owners and admins, with what to do about it; and who may see any of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from myna import hardware
from myna.backends.manager import ModelStatus
from myna.errors import EngineCrashed
from myna.server.api import health
from myna.settings import Settings
from myna.store import backup, migrations
from myna.store.backup import Backup
from tests.server.people import House, house

GB = 1 << 30


async def test_it_tells_what_it_runs_on(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path)) as home:
        person = await home.stranger()
        await person.call("GET", "/api/chats/none", None, 400)
        found = await person.call("GET", "/api/admin/health", None, 200)
    assert found["database"]["kind"] == "sqlite"
    assert found["database"]["place"] == str(tmp_path / "myna.db")
    assert found["database"]["revision"] == migrations.HEAD
    assert found["database"]["bytes"] >= (tmp_path / "myna.db").stat().st_size > 0
    assert found["disk"]["total"] > found["disk"]["free"] > 0
    assert found["memory"]["total"] > found["memory"]["free"] > 0
    assert found["server_bytes"] > 1 << 20
    assert found["started_at"] <= found["now"]
    assert (found["client_errors"], found["server_errors"]) == (1, 0)
    assert [each["code"] for each in found["warnings"]] == ["no_backup"]


async def test_it_warns_of_what_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(Settings(data_dir=tmp_path)) as home:
        person = await home.stranger()
        failed = ModelStatus("broken", "failed", EngineCrashed("It ended."))
        monkeypatch.setattr(home.models, "loaded", lambda: [failed])
        monkeypatch.setattr(health.shutil, "disk_usage", lambda path: type("D", (), {"total": 9 * GB, "free": 5})())
        monkeypatch.setattr(hardware, "memory", lambda: hardware.Memory(100 * GB, 1))
        monkeypatch.setattr(backup, "last", lambda data_dir: Backup("/b", 1, 1, 1, 0))
        await person.call("PATCH", "/api/admin/options", {"sign_up": "open"}, 200)
        found = await person.call("GET", "/api/admin/health", None, 200)
    assert [each["code"] for each in found["warnings"]] == [
        "disk_low", "memory_low", "engine_failed", "old_backup", "sign_up_open",
    ]  # fmt: skip
    assert found["warnings"][2]["values"] == {"model": "broken", "error": "It ended."}
    assert found["engines"] == [
        {"model": "broken", "state": "failed", "error": "It ended.", "bytes": None, "running": 0, "waiting": 0,
         "generated_tokens": 0}
    ]  # fmt: skip


def test_nobody_knows_the_memory_of_a_process_that_is_not_there() -> None:
    assert hardware.resident_memory(2**22 + 1) is None


ADMINISTRATION: list[tuple[str, str, Any]] = [
    ("GET", "/api/users", None),
    ("GET", "/api/admin/health", None),
    ("GET", "/api/admin/usage", None),
    ("GET", "/api/admin/usage/export", None),
    ("GET", "/api/admin/audit", None),
    ("GET", "/api/admin/audit/export?format=jsonl", None),
    ("GET", "/api/admin/options", None),
    ("PATCH", "/api/admin/options", {"titles": True}),
    ("POST", "/api/admin/audit/prune", {"before": 1}),
]
OWNERS_ALONE = ("PATCH", "POST")


async def everybody(home: House) -> dict[str, Any]:
    ann = await home.first()
    return {
        "owner": ann,
        "admin": await home.invite(ann, "Ben", "admin"),
        "member": await home.invite(ann, "Cat"),
        "key": await home.key_of(ann, "all"),
        "stranger": await home.stranger(),
    }


async def test_each_role_sees_what_is_for_it(home: House) -> None:
    people = await everybody(home)
    for method, path, body in ADMINISTRATION:
        admin = 403 if method in OWNERS_ALONE else 200
        wanted = {"owner": 200, "admin": admin, "member": 403, "key": 403, "stranger": 401}
        assert {who: await person.status(method, path, body) for who, person in people.items()} == wanted, path
    await people["owner"].call("PATCH", f"/api/users/{people['admin'].id}", {"role": "member"}, 200)
    for method, path, body in ADMINISTRATION:  # with the session from before
        assert await people["admin"].status(method, path, body) == 403, path
