"""The sockets of an engine process, with a stand-in for the engine behind them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest

from myna.engine.clients import Clients
from myna.engine.messages import (
    Cancel,
    ClientMessage,
    EngineMessage,
    FrameReader,
    GetStatistics,
    Hello,
    Message,
    Ready,
    Reply,
    frame,
)
from tests.patience import WAIT_SECONDS

SECRET = b"s" * 32


class Handler:
    def __init__(self) -> None:
        self.heard: SimpleQueue[tuple[int, ClientMessage | str]] = SimpleQueue()

    def handle(self, channel: int, message: ClientMessage) -> None:
        self.heard.put((channel, message))

    def disconnect(self, channel: int) -> None:
        self.heard.put((channel, "gone"))


class Peer:
    """A client that blocks."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_SECONDS)
        self.socket.connect(str(path))
        self.reader = FrameReader()
        self.arrived: list[bytes] = []

    def say(self, *messages: Message) -> None:
        self.socket.sendall(b"".join(frame(message) for message in messages))

    def hear(self) -> EngineMessage | None:
        """The next message, or None when the connection was closed."""
        while not self.arrived:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.arrived += self.reader.feed(data)
        message: EngineMessage = msgspec.msgpack.decode(self.arrived.pop(0), type=EngineMessage)
        return message


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "engine"))
        listening.listen()
        yield listening


@pytest.fixture
def clients(listener: socket.socket) -> Iterator[Clients]:
    serving = Clients(listener, SECRET)
    thread = threading.Thread(target=serving.run)
    thread.start()
    yield serving
    serving.close()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine"


def test_clients_hear_how_loading_ended_whether_they_came_before_or_after(clients: Clients, path: Path) -> None:
    early = Peer(path)
    early.say(Hello(SECRET))
    ready = Ready({"name": "m"})
    clients.open(ready, Handler())
    assert early.hear() == ready
    late = Peer(path)
    late.say(Hello(SECRET))
    assert late.hear() == ready
    for peer in (early, late):
        peer.socket.close()


def test_each_client_is_a_channel_and_its_end_is_told(clients: Clients, path: Path) -> None:
    handler = Handler()
    clients.open(Ready({}), handler)
    peers = Peer(path), Peer(path)
    channels = []
    for number, peer in enumerate(peers):
        peer.say(Hello(SECRET))
        peer.hear()
        peer.say(GetStatistics(number))
        channel, message = handler.heard.get(timeout=WAIT_SECONDS)
        assert message == GetStatistics(number)
        channels.append(channel)
    clients.send(channels[1], Reply(1, "for the second"))
    assert peers[1].hear() == Reply(1, "for the second")
    peers[0].socket.close()
    assert handler.heard.get(timeout=WAIT_SECONDS) == (channels[0], "gone")
    clients.send(channels[0], Reply(0, "nobody hears this"))
    clients.send(channels[1], Reply(2, "still here"))
    assert peers[1].hear() == Reply(2, "still here")
    peers[1].socket.close()


@pytest.mark.parametrize(
    "said",
    [
        frame(Hello(b"wrong")),
        frame(GetStatistics(1)),
        frame(Hello(SECRET)) + frame(Cancel("before it is ready")),
        frame(Reply(1, "what engines say")),
        b"\xff\xff\xff\xff",
        b"\x02\x00\x00\x00\xc1\xc1",
    ],
    ids=["wrong secret", "no hello", "too early", "not for engines", "too long", "not msgpack"],
)
def test_who_breaks_the_rules_is_cut_off(clients: Clients, path: Path, said: bytes) -> None:
    peer = Peer(path)
    peer.socket.sendall(said)
    assert peer.hear() is None
    peer.socket.close()


def test_a_slow_reader_gets_everything_in_order(clients: Clients, path: Path) -> None:
    handler = Handler()
    clients.open(Ready({}), handler)
    peer = Peer(path)
    peer.say(Hello(SECRET), GetStatistics(0))
    peer.hear()
    channel, _ = handler.heard.get(timeout=WAIT_SECONDS)
    sent = [Reply(number, "x" * 10_000) for number in range(300)]  # far more than a socket's buffer
    for message in sent:
        clients.send(channel, message)
    assert [peer.hear() for _ in sent] == sent
    peer.socket.close()


def test_who_never_reads_is_cut_off(clients: Clients, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myna.engine.clients._MAX_BACKLOG", 1 << 20)
    handler = Handler()
    clients.open(Ready({}), handler)
    peer = Peer(path)
    peer.say(Hello(SECRET), GetStatistics(0))
    channel, _ = handler.heard.get(timeout=WAIT_SECONDS)
    for number in range(40):
        clients.send(channel, Reply(number, "x" * 100_000))
    assert handler.heard.get(timeout=WAIT_SECONDS) == (channel, "gone")
    peer.socket.close()
