"""A server that other machines can reach needs a key, and keeps its web application to itself."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from myna.errors import ConfigurationError
from myna.server.binding import is_loopback
from myna.settings import Settings
from tests.server.test_security import application

KEY = "0123456789abcdef-key"
BEARER = {"authorization": f"Bearer {KEY}"}


def keyed(settings: Settings, host: str) -> TestClient:
    changed = settings.model_copy(update={"host": host, "api_key": SecretStr(KEY)})
    app = application(changed)
    for path in ("/v1/models", "/metrics", "/healthz", "/api/session", "/api/chat", "/"):
        app.add_api_route(path, lambda: {"reached": True})
    return TestClient(app, base_url=f"http://{host.replace('0.0.0.0', '192.168.1.5')}:8642")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "myhost", "127.0.0.1.evil.example"])
def test_binding_elsewhere_needs_a_key(settings: Settings, host: str) -> None:
    with pytest.raises(ConfigurationError, match="MYNA_API_KEY"):
        application(settings.model_copy(update={"host": host}))


def test_a_short_key_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="too short"):
        application(settings.model_copy(update={"api_key": SecretStr("short")}))


def test_elsewhere_the_api_needs_the_key(settings: Settings) -> None:
    web = keyed(settings, "0.0.0.0")
    for path in ("/v1/models", "/metrics", "/api/chat"):
        refused = web.get(path)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert refused.headers["www-authenticate"] == "Bearer"
        assert web.get(path, headers=BEARER).status_code == 200
        assert web.get(path, headers={"x-api-key": KEY}).status_code == 200
        assert web.get(path, headers={"x-api-key": KEY[:-1]}).status_code == 401


@pytest.mark.parametrize(
    "value", ["", KEY, "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer \xff"]
)
def test_a_wrong_key_is_refused(settings: Settings, value: str) -> None:
    response = keyed(settings, "0.0.0.0").get("/v1/models", headers={"authorization": value.encode("latin-1")})
    assert response.status_code == 401
    assert KEY not in response.text


def test_elsewhere_the_web_application_is_not_offered(settings: Settings) -> None:
    web = keyed(settings, "0.0.0.0")
    for path in ("/", "/api/session", "/api/chats", "/v1x", "/read"):
        assert web.get(path, headers=BEARER).status_code == 403
    with pytest.raises(WebSocketDisconnect), web.websocket_connect("/socket", headers={"host": "192.168.1.5"} | BEARER):
        pass


def test_health_is_open(settings: Settings) -> None:
    assert keyed(settings, "0.0.0.0").get("/healthz").status_code == 200


def test_elsewhere_an_unknown_name_is_still_refused(settings: Settings) -> None:
    web = keyed(settings, "0.0.0.0")
    assert web.get("/v1/models", headers=BEARER | {"host": "evil.example"}).status_code == 403


def test_on_loopback_a_key_guards_the_api_and_leaves_the_application(settings: Settings) -> None:
    web = keyed(settings, "127.0.0.1")
    assert web.get("/v1/models").status_code == 401
    assert web.get("/v1/models", headers=BEARER).status_code == 200
    assert web.get("/api/session").status_code == 200
    assert web.get("/").status_code == 200


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
