"""What a stranger's request may cost before it is one: its head is bounded in size and in time."""

from __future__ import annotations

import asyncio
import json
import socket
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from myna.server import protocol
from myna.server.limits import MAX_HEADER_BYTES
from myna.server.protocol import BoundedHttp
from tests.patience import WAIT_SECONDS
from tests.server.scripted import serving

HEAD = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"


class Wire(asyncio.Transport):
    """Keeps what the server sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def connection(app: FastAPI, wire: Wire) -> BoundedHttp:
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    connection = BoundedHttp(config=config, server_state=ServerState(), app_state={})
    connection.connection_made(wire)
    return connection


@pytest.mark.parametrize("endless", [b"x: " + b"a" * 1000, b"a" * 1000, b"x: y\r\n" * 100, b"\r\n" * 500])
async def test_a_head_without_end_is_refused(connection: BoundedHttp, wire: Wire, endless: bytes) -> None:
    if endless.strip():
        connection.data_received(HEAD)
    for _ in range(MAX_HEADER_BYTES // len(endless) + 2):
        if not wire.closed:
            connection.data_received(endless)
    assert wire.closed
    assert wire.sent.startswith(b"HTTP/1.1 431 ")
    head, _, body = wire.sent.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["error"]["code"] == "head_too_large"


@pytest.mark.parametrize(("path", "fields"), [("/v1/messages", {"type", "error"}), ("/api/chat", {"error"})])
async def test_neighbours_heads_are_refused_in_their_shape(
    connection: BoundedHttp, wire: Wire, path: str, fields: set[str]
) -> None:
    connection.data_received(f"POST {path}?beta=true HTTP/1.1\r\nHost: localhost\r\n".encode())
    while not wire.closed:
        connection.data_received(b"x: " + b"a" * 1000)
    body = json.loads(wire.sent.partition(b"\r\n\r\n")[2])
    assert set(body) == fields
    assert isinstance(body["error"], dict) is ("type" in fields)


async def test_each_request_has_its_own_bound(connection: BoundedHttp, wire: Wire) -> None:
    """Bodies do not count, and neither does what a connection sent before."""
    for _ in range(3):
        connection.data_received(b"POST /v1/completions HTTP/1.1\r\n")
        connection.data_received(b"x: " + b"a" * (MAX_HEADER_BYTES // 2) + b"\r\n")
        connection.data_received(b"Host: localhost\r\nContent-Length: 200000\r\n\r\n")
        for _ in range(200):
            connection.data_received(b"a" * 1000)
    assert not wire.closed
    connection.connection_lost(None)


async def test_headers_behind_a_body_are_left_out(connection: BoundedHttp) -> None:
    connection.data_received(b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    before = list(connection.scope["headers"])
    connection.data_received(b"Host: localhost\r\nAuthorization: Bearer x\r\n\r\n")
    assert connection.scope["headers"] == before == [(b"transfer-encoding", b"chunked")]
    connection.connection_lost(None)


def test_a_head_that_does_not_come_ends_the_connection(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    with serving(app, http=BoundedHttp) as url:
        for begun in (b"", HEAD):
            with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=WAIT_SECONDS) as client:
                client.sendall(begun)
                assert client.recv(1) == b""
