"""Who is let in: everybody on a loopback address without accounts, and otherwise who can say who he is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from myna.errors import ConfigurationError
from myna.server.binding import is_loopback
from myna.settings import Settings
from tests.server.people import PASSWORD, House, house
from tests.server.test_security import application

KEY = "0123456789abcdef-key"
BEARER = {"authorization": f"Bearer {KEY}"}
PATHS = ("/v1/models", "/metrics", "/api/chat", "/api/chats", "/api/session", "/healthz")


def without_accounts(settings: Settings, host: str, key: str | None = KEY) -> TestClient:
    changed = settings.model_copy(update={"host": host, "api_key": None if key is None else SecretStr(key)})
    app: FastAPI = application(changed)
    for path in PATHS:
        app.add_api_route(path, lambda: {"reached": True}, methods=["GET"])

    @app.websocket("/api/events")
    async def events(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    return TestClient(app, base_url=f"http://{host.replace('0.0.0.0', '192.168.1.5')}:8642")


def test_on_loopback_a_program_of_one_person_asks_nobody(settings: Settings) -> None:
    web = without_accounts(settings, "127.0.0.1", key=None)
    for path in PATHS:
        assert web.get(path).status_code == 200
        assert web.get(path, headers={"authorization": "Bearer whatever-the-client-insists-on"}).status_code == 200
    with web.websocket_connect("/api/events", headers={"host": "127.0.0.1:8642"}):
        pass


def test_on_loopback_a_key_guards_what_programs_use_and_leaves_the_application(settings: Settings) -> None:
    web = without_accounts(settings, "127.0.0.1")
    for path in ("/v1/models", "/metrics", "/api/chat"):
        assert web.get(path).status_code == 401
        assert web.get(path, headers=BEARER).status_code == 200
    assert web.get("/api/session").status_code == 200
    assert web.get("/api/chats").status_code == 200


def test_elsewhere_nothing_is_open_before_there_is_an_account(settings: Settings) -> None:
    for key in (None, KEY):
        web = without_accounts(settings, "0.0.0.0", key)
        for path in ("/v1/models", "/metrics", "/api/chat", "/api/chats", "/v1/nonsense", "/read"):
            refused = web.get(path)
            assert refused.status_code == 401, path
            assert refused.headers["www-authenticate"] == "Bearer"
        for path in ("/api/session", "/healthz"):
            assert web.get(path).status_code == 200
        assert web.get("/no-route-so-the-page").status_code == 404
        with pytest.raises(WebSocketDisconnect), web.websocket_connect("/api/events", headers={"host": "192.168.1.5"}):
            pass


def test_the_key_of_the_settings_works_without_accounts(settings: Settings) -> None:
    web = without_accounts(settings, "0.0.0.0")
    for path in ("/v1/models", "/metrics", "/api/chats"):
        assert web.get(path, headers=BEARER).status_code == 200
        assert web.get(path, headers={"x-api-key": KEY}).status_code == 200
        assert web.get(path, headers={"x-api-key": KEY[:-1]}).status_code == 401


@pytest.mark.parametrize(
    "value", ["", KEY, "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer \xff"]
)
def test_a_wrong_key_is_refused(settings: Settings, value: str) -> None:
    web = without_accounts(settings, "0.0.0.0")
    response = web.get("/v1/models", headers={b"authorization": value.encode("latin-1")})
    assert response.status_code == 401
    assert KEY not in response.text


def test_a_short_key_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="too short"):
        application(settings.model_copy(update={"api_key": SecretStr("short")}))


def test_elsewhere_an_unknown_name_is_still_refused(settings: Settings) -> None:
    web = without_accounts(settings, "0.0.0.0")
    assert web.get("/v1/models", headers=BEARER | {"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/models", {"error"}),
        ("/v1/messages", {"type", "error"}),
        ("/api/tags", {"error"}),
    ],
)
def test_who_is_not_known_is_told_so_in_the_shape_of_the_api(settings: Settings, path: str, shape: set[str]) -> None:
    refused = without_accounts(settings, "0.0.0.0").get(path)
    assert refused.status_code == 401
    assert set(refused.json()) == shape
    assert isinstance(refused.json()["error"], str) == (path == "/api/tags")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("2130706433", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.fixture
async def exposed(tmp_path: Path) -> AsyncIterator[House]:
    async with house(Settings(data_dir=tmp_path, host="0.0.0.0", api_key=SecretStr(KEY))) as running:
        yield running


async def test_the_first_account_is_made_with_the_token_and_once(exposed: House) -> None:
    stranger = await exposed.stranger()
    session = await stranger.call("GET", "/api/session", expect=200)
    assert (session["state"], session["setup"], session["user"]) == ("set_up", "token", None)
    token = exposed.accounts.setup_token
    assert token is not None
    account = {"name": "Eve", "password": PASSWORD}
    for wrong in ({}, {"token": token[:-1]}, {"token": token + "x"}):
        refused = await stranger.call("POST", "/api/setup", account | wrong, 401)
        assert token not in str(refused)
    ann = await exposed.first()
    assert ann.id == "local"
    assert exposed.accounts.setup_token is None
    assert (await ann.call("GET", "/api/session"))["user"] == {"id": "local", "name": "Ann", "role": "owner"}
    assert (await stranger.call("GET", "/api/session"))["setup"] is None
    await stranger.call("POST", "/api/setup", account | {"token": token}, 403)
    assert await (await exposed.program(KEY)).status("GET", "/api/users") == 403, "no key manages accounts"
    assert await (await exposed.program(KEY)).status("GET", "/metrics") == 200


async def test_names_for_others_without_an_account_are_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data_dir=tmp_path, allowed_hosts=("chat.example",))
    async with house(settings) as running:
        assert "whoever reaches this server as chat.example is its owner" in caplog.text
        await running.first()
    caplog.clear()
    async with house(settings):
        assert caplog.text == ""


async def test_guessing_the_token_is_slowed_down(exposed: House) -> None:
    stranger = await exposed.stranger()
    body = {"name": "Eve", "password": PASSWORD, "token": "guess"}
    codes = [await stranger.status("POST", "/api/setup", body) for _ in range(15)]
    assert codes[0] == 401
    assert codes[-1] == 429
    await exposed.first()  # from another address


async def test_a_server_that_has_accounts_starts_without_a_token(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, host="0.0.0.0")
    async with house(settings) as running:
        await running.first()
    async with house(settings) as running:
        assert running.accounts.setup_token is None
        assert (await (await running.stranger()).call("GET", "/api/session"))["state"] == "sign_in"
        await running.sign_in("ann")
