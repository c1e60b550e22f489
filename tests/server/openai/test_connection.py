"""When the client goes, the work ends: on a real socket, streaming or not, before and during the answer."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from myna.server.connected import ClientGone, while_connected
from myna.server.openai.connection import EventStream
from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL, ScriptedBackend


@pytest.fixture
def backend() -> ScriptedBackend:
    """Pauses after its first word, for ever."""
    return ScriptedBackend(gate=asyncio.Event())


def send(address: str, path: str, body: dict[str, Any]) -> socket.socket:
    content = json.dumps(body).encode()
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=WAIT_SECONDS)
    head = f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    return connection


def receive_until(connection: socket.socket, marker: bytes) -> None:
    received = b""
    while marker not in received:
        received += connection.recv(65536)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": ["Hi", "Ho"]}),
    ],
)
class TestClientGone:
    def test_while_streaming(self, address: str, backend: ScriptedBackend, path: str, body: dict[str, Any]) -> None:
        connection = send(address, path, {"model": MODEL, "stream": True} | body)
        receive_until(connection, b'"Hello"')
        assert not backend.cancelled
        connection.close()
        assert backend.cancelled_event.wait(WAIT_SECONDS)

    def test_while_waiting_for_a_whole_answer(
        self, address: str, backend: ScriptedBackend, path: str, body: dict[str, Any]
    ) -> None:
        connection = send(address, path, {"model": MODEL} | body)
        assert backend.paused.wait(WAIT_SECONDS)
        assert not backend.cancelled
        connection.close()
        assert backend.cancelled_event.wait(WAIT_SECONDS)

    def test_while_the_prompt_is_processed(
        self, address: str, backend: ScriptedBackend, path: str, body: dict[str, Any]
    ) -> None:
        backend.gate_prompt = True
        connection = send(address, path, {"model": MODEL, "stream": True} | body)
        assert backend.paused.wait(WAIT_SECONDS)
        connection.close()
        assert backend.cancelled_event.wait(WAIT_SECONDS)


async def test_work_that_finishes_gives_its_result() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> int:
        return 5

    assert await while_connected(receive, asyncio.Event(), work()) == 5


async def test_work_has_ended_when_the_client_is_gone() -> None:
    ended = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ClientGone):
        await while_connected(receive, asyncio.Event(), work())
    assert ended == [True]


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_stops_ends_running_answers_with_an_error(
    app: FastAPI, address: str, backend: ScriptedBackend, stream: bool
) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    with send(address, "/v1/chat/completions", body) as connection:
        assert backend.paused.wait(WAIT_SECONDS)
        backend.loop.call_soon_threadsafe(app.state.stopping.set)
        receive_until(connection, b"The server is stopping")
    assert backend.cancelled_event.wait(WAIT_SECONDS)


async def test_a_stream_that_was_never_begun_closes_its_source() -> None:
    """The client leaves between the first event and the first frame."""
    closed = []

    async def source() -> Any:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def frames() -> Any:
        yield b"data: 1\n\n"

    events = source()
    await anext(events)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise OSError("the connection is closed")

    await EventStream(frames(), events)({"type": "http", "app": FastAPI()}, receive, send)
    assert closed == [True]
