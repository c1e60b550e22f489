"""The server as a process: its one uvicorn worker, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from myna.backends.manager import ModelManager
from myna.backends.process import EngineProcess
from myna.hub import Hub
from myna.server.app import create_app
from myna.server.binding import address_of
from myna.server.limits import (
    CONNECTION_BACKLOG,
    ENDING_SECONDS,
    KEEP_ALIVE_SECONDS,
    WEBSOCKET_FRAME_BYTES,
)
from myna.server.protocol import BoundedHttp
from myna.settings import Settings

WhenReady = Callable[[str, ModelManager, str | None], Awaitable[None]]
"""Called once with the address, the manager and the set-up token if the first account is to be made with one, when
the server answers; cancelled when it stops."""

END_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


def serve(settings: Settings, listener: socket.socket, early: EngineProcess | None, when_ready: WhenReady) -> None:
    """Answer requests until a signal says stop; every process and file is given back by then.

    Raises:
        ConfigurationError, StoreError: the data directory cannot be used.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, listener, early, when_ready))


async def _serve(
    settings: Settings, listener: socket.socket, early: EngineProcess | None, when_ready: WhenReady
) -> None:
    manager = ModelManager(settings, early=early)
    try:
        app = create_app(settings, manager, Hub(settings.models_dir))
        async with app.router.lifespan_context(app):
            server = Server(app, settings.drain_seconds)
            announcement = asyncio.create_task(_announce(server, address_of(settings, listener), manager, when_ready))
            try:
                await server.serve([listener])
            finally:
                announcement.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await announcement
    finally:
        await manager.close()


async def _announce(server: Server, address: str, manager: ModelManager, when_ready: WhenReady) -> None:
    await server.answering.wait()
    await when_ready(address, manager, server.app.state.accounts.setup_token)


class Server(uvicorn.Server):
    """One uvicorn worker that ends in bounded time, whatever its clients do.

    Args:
        app: what answers.
        drain_seconds: how long answers that run may go on when it is told to stop; then they are ended.
    """

    def __init__(self, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",  # ours is around the server, so that its errors reach the caller
                log_config=None,
                access_log=False,  # ours carries the request's id
                server_header=False,
                proxy_headers=False,
                backlog=CONNECTION_BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(drain_seconds + ENDING_SECONDS),
                http=BoundedHttp,
                ws_max_size=WEBSOCKET_FRAME_BYTES,
            )
        )
        self.app = app
        self.drain_seconds = drain_seconds
        self.answering = asyncio.Event()
        self.told = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.answering.set()

    async def main_loop(self) -> None:
        """Rest until told to stop; a tick a second is for the Date header, where uvicorn has ten."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the browsers' sockets now, let answers over HTTP finish for a while, then end them."""
        self.app.state.api.disconnect()
        draining = asyncio.get_running_loop().call_later(self.drain_seconds, self.app.state.stopping.set)
        try:
            await super().shutdown(sockets)
        finally:
            draining.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that mean stop. They are not raised again afterwards: being told to stop is no error."""
        self.loop = asyncio.get_running_loop()
        before = {number: signal.signal(number, self.handle_exit) for number in END_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; asked a second time, without waiting for answers."""
        if self.should_exit:
            self.loop.call_soon_threadsafe(self.app.state.stopping.set)
        self.should_exit = True
        self.loop.call_soon_threadsafe(self.told.set)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # where it exists; Windows has none
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
