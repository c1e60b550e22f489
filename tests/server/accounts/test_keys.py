"""API keys as programs use them: what each may do, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from pydantic import SecretStr

from myna.server.app import create_app
from myna.server.identity import Limits
from myna.settings import Settings
from myna.store.tables.accounts import keys
from tests.patience import WAIT_SECONDS
from tests.server.people import PASSWORD, House, Person, ScriptedHub, ScriptedModels
from tests.server.scripted import MODEL, ScriptedBackend, serving

MESSAGES: Any = [{"role": "user", "content": "Hello"}]


async def test_a_key_is_shown_once_and_kept_as_a_hash(home: House, ann: Person) -> None:
    made = await ann.call("POST", "/api/account/keys", {"name": "script"}, 201)
    assert made["secret"].startswith("myna-")
    assert made["secret"].startswith(made["prefix"])
    assert len(made["secret"]) == 48
    (listed,) = (await ann.call("GET", "/api/account/keys", expect=200))["keys"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    async with home.app.state.database.read("local") as scope:
        (row,) = await scope.all(scope.select(keys))
    assert made["secret"] not in str(row)


async def test_keys_made_in_a_loop_do_not_fill_the_audit_log(
    home: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myna.server.accounts.service.DEEDS", Limits(requests_per_minute=3))
    ben = await home.invite(ann, "Ben")
    for _ in range(3):
        key = await home.key_of(ann)
        await ann.call("DELETE", f"/api/account/keys/{key.id}", expect=204)
    refused = await ann.call("POST", "/api/account/keys", {"name": "one more"}, 429)
    assert refused["error"]["code"] == "rate_limit_exceeded"
    await home.key_of(ben)


async def test_a_key_is_changed_and_deleted_at_once(home: House, ann: Person) -> None:
    program = await home.key_of(ann)
    path = f"/api/account/keys/{program.id}"
    assert await program.status("GET", "/api/chats") == 200
    changed = await ann.call("PATCH", path, {"name": "reader", "permission": "read", "tokens_per_minute": 5}, 200)
    assert (changed["name"], changed["permission"], changed["tokens_per_minute"]) == ("reader", "read", 5)
    assert await program.status("GET", "/api/chats") == 200
    refused = await program.call("POST", "/v1/chat/completions", {"model": MODEL, "messages": MESSAGES}, 403)
    assert refused["error"]["code"] == "insufficient_permissions"
    assert "'read'" in refused["error"]["message"]
    await ann.call("DELETE", path, expect=204)
    assert (await program.call("GET", "/v1/models", expect=401))["error"]["code"] == "invalid_api_key"
    await ann.call("DELETE", path, expect=404)
    await ann.call("PATCH", path, {"name": "x"}, 404)


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
async def test_only_owners_and_admins_unload_a_model_for_all(home: House, ann: Person, path: str) -> None:
    """Everybody's answers would end."""
    ben, unload = await home.invite(ann, "Ben"), {"model": MODEL, "keep_alive": 0}
    for who in (await home.key_of(ben), await home.key_of(ann, "inference")):
        assert "error" in await who.call("POST", path, unload, 403)
        assert (await who.call("POST", path, {"model": MODEL}, 200))["done_reason"] == "load"
    assert home.models.unloaded == []
    await (await home.key_of(ann)).call("POST", path, unload, 200)
    assert home.models.unloaded == [MODEL]


async def test_a_key_expires(home: House, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    program = await home.key_of(ann, expires_at=3_000_000_000_000)
    assert await program.status("GET", "/v1/models") == 200
    monkeypatch.setattr("myna.server.accounts.service.now", lambda: 3_000_000_000_000)
    refused = await program.call("GET", "/v1/models", expect=401)
    assert refused["error"]["code"] == "api_key_expired"
    monkeypatch.undo()
    await ann.call("PATCH", f"/api/account/keys/{program.id}", {"expires_at": None}, 200)
    assert await program.status("GET", "/v1/models") == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "x", "permission": "write"}, "permission"),
        ({"name": "x", "expires_at": 1}, "expires_at"),
        ({"name": "x", "expires_at": 10**18}, "expires_at"),
        ({"name": "x", "requests_per_minute": -1}, "requests_per_minute"),
        ({"name": "x", "scope": "all"}, "scope"),
        ({}, "name"),
    ],
)
async def test_keys_that_will_not_do(ann: Person, body: dict[str, Any], param: str) -> None:
    assert (await ann.call("POST", "/api/account/keys", body, 400))["error"]["param"] == param


async def test_a_user_has_so_many_keys_and_no_more(home: House, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myna.server.accounts.keys.MAX_KEYS", 2)
    for expected in (201, 201, 409):
        await ann.call("POST", "/api/account/keys", {"name": "script"}, expected)


@pytest.mark.parametrize("permission", ["all", "read", "inference"])
async def test_no_key_manages_accounts_sessions_or_keys(home: House, ann: Person, permission: str) -> None:
    program = await home.key_of(ann, permission)
    for method, path in (
        ("GET", "/api/account/keys"),
        ("POST", "/api/account/keys"),
        ("DELETE", f"/api/account/keys/{program.id}"),
        ("GET", "/api/account/sessions"),
        ("DELETE", "/api/account/sessions"),
        ("POST", "/api/account/password"),
        ("GET", "/api/users"),
        ("DELETE", f"/api/users/{ann.id}"),
        ("DELETE", "/api/session"),
    ):
        assert await program.status(method, path, {"name": "x", "old": PASSWORD, "new": PASSWORD}) == 403, path


async def test_a_wrong_key_is_not_forgiven_for_a_right_cookie(home: House, ann: Person) -> None:
    assert await ann.status("GET", "/api/chats", headers={"authorization": "Bearer myna-wrong"}) == 401
    assert await ann.status("GET", "/api/chats", headers={"x-api-key": "myna-wrong"}) == 401
    for_the_proxy = {"authorization": "Basic YW5uOnB3"}
    assert await ann.status("GET", "/api/chats", headers=for_the_proxy) == 200
    assert await (await home.stranger()).status("GET", "/api/chats", headers=for_the_proxy) == 401


async def test_uses_of_a_key_are_noted(home: House, ann: Person) -> None:
    program = await home.key_of(ann)
    await program.status("GET", "/v1/models")
    (listed,) = (await ann.call("GET", "/api/account/keys"))["keys"]
    assert listed["last_used_at"] >= listed["created_at"]
    await home.accounts.note_uses()
    async with home.app.state.database.read("local") as scope:
        (row,) = await scope.all(scope.select(keys))
    assert row.last_used_at == listed["last_used_at"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path, api_key=SecretStr("environment-key-0"))
    app = create_app(settings, ScriptedModels(ScriptedBackend()), ScriptedHub())  # type: ignore[arg-type]
    with serving(app) as address:
        yield address


@pytest.fixture
def browser(served: str) -> Iterator[Callable[[], httpx2.Client]]:
    """Browsers, to sign in with."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(httpx2.Client(base_url=served, timeout=WAIT_SECONDS))


@pytest.fixture
def client(served: str) -> Iterator[Callable[[str], openai.OpenAI]]:
    """The official client with a key."""
    with ExitStack() as stack:
        yield lambda secret: stack.enter_context(openai.OpenAI(base_url=f"{served}/v1", api_key=secret, max_retries=0))


def test_the_official_client(browser: Callable[[], httpx2.Client], client: Callable[[str], openai.OpenAI]) -> None:
    page, his = browser(), browser()
    assert page.post("/api/setup", json={"name": "Ann", "password": PASSWORD}).status_code == 200

    def made(permission: str) -> tuple[openai.OpenAI, str]:
        key = page.post("/api/account/keys", json={"name": permission, "permission": permission}).json()
        return client(key["secret"]), key["id"]

    with pytest.raises(openai.AuthenticationError):
        client("sk-none").models.list()
    everything, _ = made("all")
    reading, _ = made("read")
    asking, asking_id = made("inference")
    for one in (everything, reading, asking, client("environment-key-0")):
        assert one.models.list().data[0].id == MODEL
    for one in (everything, asking, client("environment-key-0")):
        answer = one.chat.completions.create(model=MODEL, messages=MESSAGES)
        assert answer.choices[0].message.content == "Hello there!"
        streamed = one.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices) == "Hello there!"
    with pytest.raises(openai.PermissionDeniedError, match="'read'"):
        reading.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert reading.files.list().data == []
    with pytest.raises(openai.PermissionDeniedError, match="'inference'"):
        asking.files.list()
    assert page.request("DELETE", f"/api/account/keys/{asking_id}", json={}).status_code == 204
    with pytest.raises(openai.AuthenticationError):
        asking.models.list()
    ben = page.post("/api/users", json={"name": "Ben"}).json()
    assert his.post("/api/session", json={"name": "Ben", "password": ben["password"]}).status_code == 200
    secret = his.post("/api/account/keys", json={"name": "his"}).json()["secret"]
    assert client(secret).models.list().data
    with pytest.raises(openai.PermissionDeniedError):
        client(secret).models.delete(MODEL)
    assert page.request("DELETE", f"/api/users/{ben['id']}", json={}).status_code == 204
    with pytest.raises(openai.AuthenticationError):
        client(secret).models.list()
