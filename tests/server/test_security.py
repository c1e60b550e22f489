"""Other web pages cannot use a local server; its own page and programs can."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from myna.errors import ConfigurationError
from myna.server import anthropic, bodies, ollama, openai, security
from myna.server.limits import MAX_BODY_BYTES
from myna.server.metrics import Metrics
from myna.server.security import host_name
from myna.server.shapes import OLLAMA_PATHS
from myna.server.shell import create_shell
from myna.settings import Settings, load_settings

JSON = {"content-type": "application/json"}
PORT = 8642


def application(settings: Settings) -> FastAPI:
    app = create_shell(settings, Metrics())

    @app.get("/read")
    async def read() -> dict[str, str]:
        return {"read": "yes"}

    @app.post("/write")
    async def write(body: dict[str, str]) -> dict[str, str]:
        return body

    @app.delete("/write")
    async def remove() -> dict[str, str]:
        return {}

    @app.websocket("/socket")
    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("open")
        await websocket.close()

    return app


@pytest.fixture
def web(settings: Settings) -> TestClient:
    return TestClient(application(settings), base_url=f"http://localhost:{PORT}")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8642", "LOCALHOST:1", "127.0.0.1:8642", "127.8.8.8", "[::1]:8642", "[::1]"]
)
def test_loopback_names_are_hosts(web: TestClient, host: str) -> None:
    assert web.get("/read", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "localhost..",
        "127.0.0.1.evil.example",
        "192.168.1.5:8642",
        "",
        "localhost@evil",
        "a b",
    ],
)
def test_a_rebound_name_is_refused(web: TestClient, host: str) -> None:
    response = web.get("/read", headers={"host": host})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "refused"
    assert "MYNA_ALLOWED_HOSTS" in response.json()["error"]["message"]


def test_allowed_hosts_are_hosts(settings: Settings) -> None:
    allowed = settings.model_copy(update={"allowed_hosts": ("Myna.home",)})
    web = TestClient(application(allowed), base_url="http://myna.home")
    assert web.get("/read").status_code == 200
    assert web.post("/write", json={}, headers={"origin": "http://myna.home"}).status_code == 200
    assert web.get("/read", headers={"host": "other.home"}).status_code == 403


def test_its_own_page_may_write(web: TestClient) -> None:
    own = {"origin": f"http://localhost:{PORT}", "sec-fetch-site": "same-origin"}
    assert web.post("/write", json={"a": "b"}, headers=own).json() == {"a": "b"}
    assert web.delete("/write", headers=own | JSON).status_code == 200


def test_programs_may_write(web: TestClient) -> None:
    assert web.post("/write", json={"a": "b"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:8642"},
        {"origin": "null"},
        {"origin": "file://"},
        {"origin": "http://["},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_may_not_write(web: TestClient, headers: dict[str, str]) -> None:
    for response in (web.post("/write", json={}, headers=headers), web.delete("/write", headers=headers | JSON)):
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


def test_nobody_is_allowed_across_origins(web: TestClient) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert not [name for name in web.options("/write", headers=asked).headers if name.startswith("access-control")]
    assert "access-control-allow-origin" not in web.get("/read", headers={"origin": "https://evil.example"}).headers


NAMED = "https://app.example"


@pytest.fixture
def named(settings: Settings) -> TestClient:
    """A server whose owner has named another page."""
    app = application(settings.model_copy(update={"cors_origins": (NAMED,)}))

    @app.get("/v1/cookies")
    @app.post("/v1/cookies")
    async def cookies(request: Request) -> dict[str, bool]:
        return {"cookie": "cookie" in request.headers}

    app.include_router(ollama.create_router())
    return TestClient(app, base_url=f"http://localhost:{PORT}")


def test_a_page_that_is_named_may_ask_use_and_read(named: TestClient) -> None:
    asked = {
        "origin": NAMED,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    for path in ("/v1/cookies", "/api/chat"):
        preflight = named.options(path, headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == NAMED
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    for answer in (
        named.get("/v1/cookies", headers={"origin": NAMED}),
        named.post("/v1/cookies", json={}, headers={"origin": NAMED, "sec-fetch-site": "cross-site"}),
        named.get("/v1/nothing", headers={"origin": NAMED}),
        named.post("/v1/cookies", content=b"x", headers={"origin": NAMED}),
    ):
        assert answer.headers["access-control-allow-origin"] == NAMED
        assert answer.headers["vary"] == "Origin"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_a_page_that_is_named_never_comes_with_cookies(named: TestClient) -> None:
    for method in ("GET", "POST"):
        own = {"origin": f"http://localhost:{PORT}"}
        cookie = {"cookie": "myna_session=stolen"}
        assert named.request(method, "/v1/cookies", headers=JSON | own | cookie).json() == {"cookie": True}
        across = named.request(method, "/v1/cookies", headers=JSON | {"origin": NAMED} | cookie)
        assert across.json() == {"cookie": False}
        assert "access-control-allow-credentials" not in across.headers


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/v1/cookies", "https://evil.example"),
        ("/v1/cookies", f"{NAMED}.evil.example"),
        ("/v1/cookies", f"{NAMED}:444"),
        ("/v1/cookies", "http://app.example"),
        ("/v1/cookies", "null"),
        ("/write", NAMED),  # the application's own
        ("/v1", NAMED),
    ],
)
def test_nobody_else_is_let_in(named: TestClient, path: str, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    for answer in (named.options(path, headers=asked), named.post(path, json={}, headers={"origin": origin})):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert named.post(path, json={}, headers={"origin": origin}).status_code == 403
    rebound = named.options("/v1/cookies", headers=asked | {"origin": NAMED, "host": "evil.example"})
    assert rebound.status_code == 403


def test_a_page_that_is_named_may_not_listen(named: TestClient) -> None:
    headers = {"host": f"localhost:{PORT}", "origin": NAMED}
    with pytest.raises(WebSocketDisconnect), named.websocket_connect("/socket", headers=headers):
        pass


@pytest.mark.parametrize(
    "origin", ["*", "null", "app.example", "https://app.example/", "https://App.example", "https://*.example"]
)
def test_what_is_no_origin_is_no_setting(origin: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cors_origins"):
        load_settings(data_dir=tmp_path, cors_origins=(origin,))


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", "application/jsonp"]
)
def test_a_form_cannot_write(web: TestClient, kind: str) -> None:
    response = web.post("/write", content=b"{}", headers={"content-type": kind})
    assert response.status_code == 415
    assert "application/json" in response.json()["error"]["message"]


FORM = {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize("path", ["/v1/files", "/v1/uploads/upload_1/parts"])
def test_files_are_sent_in_forms_and_in_nothing_else(
    settings: Settings, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "is_missing", lambda path: False)
    app = application(settings.model_copy(update={"max_upload_bytes": 1 << 20}))

    @app.post("/v1/files")
    @app.post("/v1/uploads/{upload}/parts")
    async def take(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    web = TestClient(app, base_url=f"http://localhost:{PORT}")
    assert web.post(path, content=b"x" * (1 << 20), headers=FORM).json() == {"bytes": 1 << 20}
    larger = web.post(path, content=b"x" * (2 << 20), headers=FORM)
    assert (larger.status_code, larger.json()["error"]["message"]) == (413, "The body is larger than 1 MiB.")
    pieces = web.post(path, content=iter([b"x" * (1 << 20)] * 2), headers=FORM)
    assert pieces.status_code == 413
    assert web.post(path, json={}).status_code == 415
    assert web.post(path, content=b"", headers=FORM | {"origin": "https://evil.example"}).status_code == 403
    assert web.post(f"{path}/more", content=b"", headers=FORM).status_code == 415


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/images/edits"])
def test_what_is_missing_says_so_to_forms_of_any_size(settings: Settings, path: str) -> None:
    app = application(settings)
    app.include_router(openai.create_router())
    web = TestClient(app, base_url=f"http://localhost:{PORT}")
    response = web.post(path, content=b"x", headers=FORM | {"content-length": str(1 << 35)})
    assert response.status_code == 501
    assert web.post(path, content=b"x", headers=FORM | {"origin": "https://evil.example"}).status_code == 403


REFUSED = {
    403: ({"host": "evil.example"}, "permission_error"),
    413: ({"content-length": str(1 << 30)}, "request_too_large"),
    415: ({"content-type": "text/plain"}, "api_error"),
}


@pytest.mark.parametrize("status", REFUSED)
def test_neighbours_are_refused_in_their_own_shapes(settings: Settings, status: int) -> None:
    app = application(settings)
    app.include_router(anthropic.create_router())
    app.include_router(ollama.create_router())
    web = TestClient(app, base_url=f"http://localhost:{PORT}")
    headers, kind = REFUSED[status]
    told = web.post("/v1/messages", content=b"{}", headers=JSON | headers)
    assert told.status_code == status
    message = told.json()["error"]["message"]
    assert told.json() == {"type": "error", "error": {"type": kind, "message": message}}
    assert web.post("/api/chat", content=b"{}", headers=JSON | headers).json() == {"error": message}
    assert web.post("/v1/chat/completions", content=b"{}", headers=JSON | headers).json()["error"]["code"]


def test_a_wrong_method_is_told_in_its_apis_shape(settings: Settings) -> None:
    app = application(settings)
    app.include_router(anthropic.create_router())
    app.include_router(ollama.create_router())
    web = TestClient(app, base_url=f"http://localhost:{PORT}")
    assert web.get("/v1/messages").json()["type"] == "error"
    assert set(web.get("/api/chat").json()) == {"error"}
    assert web.get("/api/chat").status_code == 405


def test_every_route_of_ollamas_has_its_shape() -> None:
    app = FastAPI()
    app.include_router(ollama.create_router())
    assert set(app.openapi()["paths"]) == OLLAMA_PATHS


def test_an_undeclared_body_cannot_write(web: TestClient) -> None:
    assert web.post("/write", content=b"{}").status_code == 415
    assert web.delete("/write").status_code == 415


def test_a_body_declared_too_large_is_refused_unread(web: TestClient) -> None:
    response = web.post("/write", content=b"{}", headers=JSON | {"content-length": str(MAX_BODY_BYTES + 1)})
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "content_too_large"


@pytest.mark.parametrize("path", ["/api/session", "/api/setup", "/api/account/password", "/api/users/user_1"])
def test_strangers_may_send_little(web: TestClient, path: str) -> None:
    """Signing in is open to all, and a body of 16 MiB takes seconds to be read."""
    response = web.post(path, content=b" " * (64 << 10) + b"{}", headers=JSON)
    assert response.status_code == 413
    assert "larger than 64 KiB" in response.json()["error"]["message"]


def test_a_body_that_grows_too_large_is_refused(web: TestClient) -> None:
    def pieces() -> object:
        yield b'{"a": "'
        for _ in range(MAX_BODY_BYTES >> 20):
            yield b"x" * (1 << 20)
        yield b'"}'

    response = web.post("/write", content=pieces(), headers=JSON)  # type: ignore[arg-type]
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "content_too_large"


@pytest.mark.parametrize("pieces", [0, 3], ids=["nothing comes", "it stops coming"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pieces: int
) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.05)
    app = create_shell(Settings(data_dir=tmp_path), Metrics())

    @app.post("/write")
    async def write(request: Request) -> Response:
        return Response(await request.body())

    to_send = [{"type": "http.request", "body": b" ", "more_body": True} for _ in range(pieces)]
    sent: list[Any] = []

    async def receive() -> Any:
        return to_send.pop() if to_send else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/write", "raw_path": b"/write", "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8642), "scheme": "http", "root_path": "", "http_version": "1.1", "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["error"]["code"] == "request_timeout"


def test_its_own_page_and_programs_may_listen(web: TestClient) -> None:
    for headers in ({}, {"origin": f"http://localhost:{PORT}"}):
        with web.websocket_connect("/socket", headers={"host": f"localhost:{PORT}"} | headers) as socket:
            assert socket.receive_text() == "open"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"host": "evil.example"},
    ],
)
def test_another_page_may_not_listen(web: TestClient, headers: dict[str, str]) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        web.websocket_connect("/socket", headers={"host": f"localhost:{PORT}"} | headers),
    ):
        pass


def test_every_answer_carries_the_headers(web: TestClient) -> None:
    for response in (web.get("/read"), web.get("/missing"), web.get("/read", headers={"host": "evil.example"})):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Localhost:80", "localhost"),
        ("[::1]:80", "::1"),
        ("example.com.", "example.com"),
        ("a:b", None),
        ("[::1", None),
        ("a:", None),
        ("user@host", None),
        ("host/path", None),
        ("host\n", None),
    ],
)
def test_host_name(header: str, name: str | None) -> None:
    assert host_name(header) == name
