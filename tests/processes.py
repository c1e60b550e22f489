"""Myna as users run it: real processes, with a data directory of their own and the shared models."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.model_fixtures import shared_models_directory
from tests.patience import WAIT_SECONDS

MYNA = (sys.executable, "-m", "myna")


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """Variables for a process: none of the developer's own settings, and no browser."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MYNA_")}
    return own | {"MYNA_DATA_DIR": str(data_dir), "MYNA_CACHE_DIR": str(shared_models_directory())} | more


def myna(*arguments: str, env: dict[str, str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*MYNA, *arguments],
        env=env,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


class Server:
    """A ``myna serve`` that runs; ``said`` is what it has written to stderr so far."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*MYNA, "serve", *arguments], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.wait_for(r"address\s+(http://\S+)")
        self.wait_for(r"stop\s+(Ctrl-C)")

    def wait_for(self, pattern: str) -> str:
        """The first group of the first line, from here on, that has the pattern."""
        while True:
            line = self._lines.get(timeout=WAIT_SECONDS)
            assert line, f"the server ended: {''.join(self.said)}"
            if match := re.search(pattern, line):
                return match[1]

    @property
    def processes(self) -> list[psutil.Process]:
        """The server and all below it: its engines."""
        server = psutil.Process(self.process.pid)
        return [server, *server.children(recursive=True)]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; every process must be gone then. Returns the exit code."""
        everything = self.processes
        self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        _, alive = psutil.wait_procs(everything, timeout=WAIT_SECONDS)
        assert not alive
        self._reader.join(WAIT_SECONDS)
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            for line in stderr:
                self.said.append(line)
                self._lines.put(line)
        self._lines.put("")


@contextmanager
def serving(*arguments: str, env: dict[str, str]) -> Iterator[Server]:
    """A server on a port of the system's choice, stopped at the end."""
    server = Server("--port", "0", *arguments, env=env)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
