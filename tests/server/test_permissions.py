"""Every route of the application is in the table, and the table says what a route needs."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from myna.server.app import create_app
from myna.server.auth import is_for_programs
from myna.server.identity import Identity
from myna.server.openai.missing import is_missing
from myna.server.permissions import NEEDS, Need, lacking, need_of
from myna.server.shapes import OLLAMA_PATHS
from myna.settings import Settings
from tests.server.people import ScriptedHub, ScriptedModels
from tests.server.scripted import ScriptedBackend


def routes(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Method and path of every route, with something in place of what its path leaves open."""
    models = ScriptedModels(ScriptedBackend())
    app = create_app(Settings(data_dir=data_dir), models, ScriptedHub())  # type: ignore[arg-type]
    for route in iter_route_contexts(app.routes):
        assert route.path is not None
        path = re.sub(r"\{\w+:path\}", "hf:some/thing", route.path)
        path = re.sub(r"\{\w+\}", "some-thing", path)
        for method in route.methods or {"WEBSOCKET"}:
            yield method, path


def test_every_route_has_an_entry(tmp_path: Path) -> None:
    unknown = [
        f"{method} {path}"
        for method, path in routes(tmp_path)
        if need_of(method, path) is None and not is_missing(path)
    ]
    assert unknown == [], "add them to myna.server.permissions.NEEDS"


def test_every_route_of_the_browsers_api_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "application-api.md").read_text()
    missing = []
    for route in NEEDS:
        method, path = route.split(" ")
        if path.startswith("/api/") and path not in OLLAMA_PATHS and method != "WEBSOCKET":
            written = re.sub(r"(\\\*)+", r"\\{[\\w.]+\\}", re.escape(f"{method} {path}"))
            if not re.search(rf"{written}[?`\s]", page):
                missing.append(route)
    assert missing == [], "add them to docs/application-api.md"


def test_every_entry_that_is_open_is_meant_to_be() -> None:
    assert {route for route, need in NEEDS.items() if need == "open"} == {
        "GET /healthz",
        "GET /api/session",
        "POST /api/session",
        "POST /api/session/second-factor",
        "POST /api/setup",
        "POST /api/invitations/look",
        "POST /api/sign-up",
        "POST /api/passkeys",
        "POST /api/passkeys/finish",
        "POST /api/provider",
        "POST /api/provider/finish",
    }


@pytest.mark.parametrize(
    ("method", "path", "need"),
    [
        ("GET", "/v1/models", "any"),
        ("HEAD", "/metrics", "models"),
        ("GET", "/v1/models/hf:owner/repo", "any"),
        ("DELETE", "/v1/models/hf:owner/repo", "models"),
        ("GET", "/v1/files/x/content", "read"),
        ("GET", "/v1/files/x/y/content", None),
        ("POST", "/v1/files/", None),
        ("POST", "/v1/models", None),
        ("GET", "/v1/models\n", None),
        ("POST", "/api/models/a/b/adapters", "models"),
        ("PUT", "/api/chats", None),
    ],
)
def test_the_table_is_read_as_paths_are(method: str, path: str, need: Need | None) -> None:
    assert need_of(method, path) == need


def test_paths_of_strangers_are_not_kept() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(100):
            assert need_of("GET", f"/v1/files/{number}-{'x' * 60_000}") == "read"
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_what_programs_use_is_guarded_by_the_key_of_the_settings() -> None:
    own = ("/api/", "/docs", "/healthz")  # the application's, which a page shows
    paths = [route.partition(" ")[2] for route in NEEDS]
    assert {path for path in paths if not is_for_programs(path)} == {
        path for path in paths if path.startswith(own) and path not in OLLAMA_PATHS
    }


def caller(role: str = "member", permission: str = "all", key: str | None = "key_1") -> Identity:
    return Identity("ann", "Ann", role, permission, key)  # type: ignore[arg-type]


SIGNED_IN = caller(key=None)
OWNER = caller("owner", key=None)


@pytest.mark.parametrize(
    ("who", "may", "may_not"),
    [
        (OWNER, {"any", "read", "inference", "all", "models", "account", "users"}, set()),
        (caller("admin", key=None), {"any", "read", "inference", "all", "models", "account", "users"}, set()),
        (SIGNED_IN, {"any", "read", "inference", "all", "account"}, {"models", "users"}),
        (caller("owner"), {"any", "read", "inference", "all", "models"}, {"account", "users"}),
        (caller("owner", "read"), {"any", "read"}, {"inference", "all", "models", "account", "users"}),
        (caller("owner", "inference"), {"any", "inference"}, {"read", "all", "models", "account", "users"}),
        (caller(), {"any", "read", "inference", "all"}, {"models", "account", "users"}),
    ],
)
def test_who_may_what(who: Identity, may: set[Need], may_not: set[Need]) -> None:
    assert {need for need in may | may_not if lacking(who, need) is None} == may
    assert all(lacking(who, need) for need in may_not)
