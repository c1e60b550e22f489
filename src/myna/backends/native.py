"""Myna's own engine as a `Backend`: in a process of its own, or in a thread of this one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import traceback
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import msgspec

from myna.backends.client import NativeBackend
from myna.backends.process import EngineProcess
from myna.engine.messages import HEADER, MAX_FRAME, ClientMessage, EngineMessage, FrameReader, Hello, frame
from myna.engine.options import EngineOptions
from myna.errors import EngineCrashed, InvalidParameter

if TYPE_CHECKING:
    from myna.engine.service import Service

__all__ = ["NativeBackend", "connect", "in_process"]


async def connect(process: EngineProcess) -> NativeBackend:
    """The backend of an engine process, once its model is loaded. Closing the backend ends the process.

    Raises:
        MynaError: the model cannot be loaded, or the process ended; the process is gone then.
    """
    link = _SocketLink(process)
    try:
        await link.open()
        await link.backend.describe()
    except BaseException:
        await link.close()
        raise
    return link.backend


@contextlib.asynccontextmanager
async def in_process(options: EngineOptions) -> AsyncIterator[NativeBackend]:
    """A backend whose engine runs in a thread of this process: less to start, for a command that gives one answer.

    Raises:
        MynaError: the model cannot be loaded; which leaf says why.
    """
    link = _ThreadLink()
    await link.open(options)
    try:
        yield link.backend
    finally:
        await link.backend.close()


class _SocketLink(asyncio.Protocol):
    """Frames over a socket to an engine process that this link owns."""

    def __init__(self, process: EngineProcess) -> None:
        self.backend = NativeBackend(self)
        self._process = process
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(EngineMessage)
        self._is_closing = False
        self._obituary: asyncio.Task[None] | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        address = await asyncio.to_thread(self._process.address)
        try:
            if isinstance(address, str):
                await loop.create_unix_connection(lambda: self, address)
            else:
                await loop.create_connection(lambda: self, "127.0.0.1", address)
        except OSError as error:
            how = await asyncio.to_thread(self._process.how_it_ended)
            raise EngineCrashed(f"The engine process could not be reached: it {how}.") from error
        self.send(Hello(self._process.secret))

    def send(self, message: ClientMessage) -> None:
        if self._transport is not None and not self._transport.is_closing():
            data = frame(message)
            if len(data) > HEADER + MAX_FRAME:  # the engine would take it for a fault of ours and hang up
                raise InvalidParameter(
                    f"The request has {len(data):,} bytes; at most {MAX_FRAME:,} are possible. Shorten its messages.",
                    param="messages",
                )
            self._transport.write(data)

    async def close(self) -> None:
        self._is_closing = True
        if self._transport is not None:
            self._transport.close()
        if self._obituary is not None:
            await self._obituary
        await asyncio.to_thread(self._process.end)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for payload in self._reader.feed(data):
            self.backend.receive(self._decoder.decode(payload))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_closing:
            self._obituary = asyncio.get_running_loop().create_task(self._mourn())

    async def _mourn(self) -> None:
        """Find out how the process ended, and tell everyone who waits for it."""
        how = await asyncio.to_thread(self._process.how_it_ended)
        self.backend.end(
            EngineCrashed(
                f"The engine process of {self._process.options.name} {how}. What it had written is kept: continue "
                "the answer, or send the request again; a new process is started for it."
            )
        )


class _ThreadLink:
    """Function calls to an engine in this process, whose steps run in a thread."""

    def __init__(self) -> None:
        self.backend = NativeBackend(self)
        self._loop = asyncio.get_running_loop()
        self._service: Service | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    async def open(self, options: EngineOptions) -> None:
        from myna.engine.service import Service  # NumPy, kernels, tokenizer: a server leaves them to its engines

        self._service = await asyncio.to_thread(Service, options, self._receive)
        self.backend.receive(self._service.ready)
        self._thread.start()

    def send(self, message: ClientMessage) -> None:
        assert self._service is not None
        self._service.handle(0, message)

    async def close(self) -> None:
        assert self._service is not None
        self._service.close()
        await asyncio.to_thread(self._thread.join)

    def _receive(self, channel: int, message: EngineMessage) -> None:
        self._loop.call_soon_threadsafe(self.backend.receive, message)

    def _run(self) -> None:
        assert self._service is not None
        try:
            self._service.run()
        except Exception as error:
            traceback.print_exc()
            crash = EngineCrashed(f"The engine stopped: {type(error).__name__}: {error}. Start the command again.")
            self._loop.call_soon_threadsafe(self.backend.end, crash)
