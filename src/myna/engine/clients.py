"""The clients of an engine process: their sockets, served by one thread that sleeps until something happens."""

from __future__ import annotations

import contextlib
import hmac
import logging
import selectors
import socket
import threading
from typing import Protocol

import msgspec

from myna.engine.messages import ClientMessage, EngineMessage, FrameReader, Hello, LoadFailed, Ready, decode_part, frame

_log = logging.getLogger(__name__)

_MAX_BACKLOG = 64 << 20
"""Bytes that may wait for a client that does not read; then it is cut off."""

_READ_SIZE = 1 << 18


class Handler(Protocol):
    """Who does what clients ask; `myna.engine.service.Service`."""

    def handle(self, channel: int, message: ClientMessage) -> None: ...

    def disconnect(self, channel: int) -> None: ...


class _Client:
    """One connection. ``backlog`` is shared with the threads that send, under ``lock``."""

    def __init__(self, channel: int, connection: socket.socket) -> None:
        self.channel = channel
        self.socket = connection
        self.reader = FrameReader()
        self.is_known = False  # it has said the secret
        self.is_told = False  # it has been sent how loading ended
        self.lock = threading.Lock()
        self.backlog = bytearray()
        self.is_open = True


class Clients:
    """Accepts clients, passes on what they say, and sends what is for them from any thread.

    Until `open` is called clients may connect but are not listened to.

    Args:
        listener: a bound and listening socket.
        secret: what a client's `Hello` must hold.
    """

    def __init__(self, listener: socket.socket, secret: bytes) -> None:
        self._listener = listener
        self._secret = secret
        self._decoder = msgspec.msgpack.Decoder(ClientMessage, dec_hook=decode_part)
        self._selector = selectors.DefaultSelector()
        self._clients: dict[int, _Client] = {}
        self._next_channel = 1
        self._handler: Handler | None = None
        self._state: Ready | LoadFailed | None = None
        self._is_closing = False
        self._waker, self._woken = socket.socketpair()
        for each in (listener, self._woken, self._waker):
            each.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def open(self, state: Ready | LoadFailed, handler: Handler | None = None) -> None:
        """Tell all clients, now and later, how loading ended, and pass on what they say from now on."""
        self._handler = handler
        self._state = state
        self._wake()

    def send(self, channel: int, message: EngineMessage) -> None:
        """Send to one client, at once if its socket takes it; nothing happens if it is gone."""
        client = self._clients.get(channel)
        if client is None:
            return
        data = frame(message)
        with client.lock:
            if not client.is_open:
                return
            if not client.backlog:
                try:
                    data = data[client.socket.send(data) :]
                except BlockingIOError:
                    pass
                except OSError:
                    return  # the thread that reads will notice too
                if not data:
                    return
            client.backlog += data
        self._wake()

    def close(self) -> None:
        """Let `run` return, all sockets closed."""
        self._is_closing = True
        self._wake()

    def run(self) -> None:
        """Serve until `close`."""
        while not self._is_closing:
            for key, events in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._attend()
                elif key.data.is_open:
                    if events & selectors.EVENT_WRITE:
                        self._flush(key.data)
                    if events & selectors.EVENT_READ:
                        self._read(key.data)
        for client in list(self._clients.values()):
            self._drop(client)
        for each in (self._listener, self._woken, self._waker, self._selector):
            each.close()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of earlier calls: it will wake
            self._waker.send(b"!")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # gone before it was accepted
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            if connection.family != getattr(socket, "AF_UNIX", None):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = _Client(self._next_channel, connection)
            self._next_channel += 1
            self._clients[client.channel] = client
            self._selector.register(connection, selectors.EVENT_READ, client)

    def _attend(self) -> None:
        """Look after what other threads left: the state to announce, and backlogs."""
        self._woken.recv(4096)
        for client in list(self._clients.values()):
            self._announce(client)
            if len(client.backlog) > _MAX_BACKLOG:
                self._drop(client, "does not read its answers")
            elif client.backlog:
                self._selector.modify(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _announce(self, client: _Client) -> None:
        if self._state is not None and client.is_known and not client.is_told:
            client.is_told = True
            self.send(client.channel, self._state)

    def _flush(self, client: _Client) -> None:
        with client.lock:
            with contextlib.suppress(OSError):
                del client.backlog[: client.socket.send(client.backlog)]
            if not client.backlog:
                self._selector.modify(client.socket, selectors.EVENT_READ, client)

    def _read(self, client: _Client) -> None:
        try:
            data = client.socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        try:
            for payload in client.reader.feed(data):
                self._take(client, self._decoder.decode(payload))
        except (ValueError, PermissionError) as error:  # msgspec's errors are ValueErrors
            self._drop(client, str(error))

    def _take(self, client: _Client, message: ClientMessage) -> None:
        if isinstance(message, Hello):
            if not hmac.compare_digest(message.secret, self._secret):
                raise PermissionError("a wrong secret")
            client.is_known = True
            self._announce(client)
        elif not client.is_told or self._handler is None:
            raise PermissionError(f"{type(message).__name__} before the engine was ready for it")
        else:
            self._handler.handle(client.channel, message)

    def _drop(self, client: _Client, reason: str | None = None) -> None:
        if reason is not None:
            _log.warning("Client %d of the engine is cut off: %s", client.channel, reason)
        with client.lock:
            client.is_open = False
            self._selector.unregister(client.socket)
            client.socket.close()
        del self._clients[client.channel]
        if self._handler is not None:
            self._handler.disconnect(client.channel)
