"""An engine process as its parent sees it: started, found, ended. Imports little: it is used first of all."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from myna.engine.messages import HEADER, Listening, Start, frame
from myna.engine.options import EngineOptions, engine_options
from myna.errors import EngineCrashed, MynaError
from myna.hub import Hub

if TYPE_CHECKING:
    from myna.settings import Settings

TRANSPORT = "unix" if hasattr(socket, "AF_UNIX") else "tcp"
"""How clients reach an engine: a socket in a directory of the owner alone, or else the loopback interface."""

_PATIENCE = 5.0
"""Seconds that a process has to end by itself before it is killed."""


class EngineProcess:
    """A process that loads a model and then serves it; see `myna.engine.worker` for its side.

    Args:
        options: the model and how to run it.
        transport: ``unix`` or ``tcp``.

    Raises:
        EngineCrashed: the system starts no more processes.
    """

    def __init__(self, options: EngineOptions, transport: str = TRANSPORT) -> None:
        self.options = options
        self.secret = os.urandom(32)
        self._address: str | int | None = None
        try:
            with _interrupts_held_back():
                # -P: a file in the working directory must not stand in for a module.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "myna.engine.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
        except OSError as error:
            raise EngineCrashed(f"The engine process could not be started: {error.strerror or error}.") from error
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone already; `address` will say so
            self._process.stdin.write(frame(Start(options, self.secret, transport)))
            self._process.stdin.flush()

    @property
    def id(self) -> int:
        """Of the operating system."""
        return self._process.pid

    def address(self) -> str | int:
        """Where it listens: a socket's path or a port of the loopback interface. Waits until it says so.

        Raises:
            EngineCrashed: it ended before.
        """
        if self._address is None:
            assert self._process.stdout is not None
            with self._process.stdout as stdout:
                header = stdout.read(HEADER)
                payload = stdout.read(int.from_bytes(header, "little"))
            if not payload:
                raise EngineCrashed(f"The engine process could not be started: it {self.how_it_ended()}.")
            self._address = msgspec.msgpack.decode(payload, type=Listening).address
        return self._address

    def how_it_ended(self) -> str:
        """A clause about the end of a process that is ending, or has ended. Waits for it a little."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        if code == -9:
            return "was killed (perhaps because memory ran out)"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """End it and wait until it is gone. May be called again."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # which it takes as the end of its parent
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if isinstance(self._address, str):
            with contextlib.suppress(OSError):  # what it leaves behind when it is killed
                Path(self._address).unlink(missing_ok=True)
                Path(self._address).parent.rmdir()


def start_early(settings: Settings) -> EngineProcess | None:
    """Let the default model be loaded while the caller imports the rest of itself.

    None when that cannot be: `ModelManager` says why to whoever asks for the model.
    """
    hub = Hub(settings.models_dir)
    try:
        path = hub.find(settings.model)
        name = hub.resolve(settings.model).name
        return None if path is None else EngineProcess(engine_options(settings, path, name))
    except MynaError:
        return None


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process that is started meanwhile inherits this: Ctrl-C cannot end it before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
