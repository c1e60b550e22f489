"""A server as a child of the benchmark: started cold, asked over HTTP, its memory counted, always ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

KEY = "benchmark-key-of-a-server-that-lives-a-minute"
"""Sent with every request, for servers that ask for one."""


@dataclass(frozen=True)
class Served:
    """A server that answers. ``start_seconds``: from the process's start until a client had its first token."""

    base: str
    model: str
    process: psutil.Process
    start_seconds: float

    def resident(self) -> int:
        """Resident bytes of the process and all of its children; pages that they share count once."""
        return sum(_resident(each) for each in [self.process, *self.process.children(recursive=True)])

    def engines(self) -> set[int]:
        """Ids of the processes that run models; others come and go."""
        found = set()
        for child in self.process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "myna.engine.worker" in child.cmdline():
                    found.add(child.pid)
        return found


@contextlib.contextmanager
def served(command: list[str], model: str, environment: Mapping[str, str]) -> Iterator[Served]:
    """Run a server in this environment; the command gets ``--port N`` appended."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not answers(base, model):
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
            time.sleep(0.005)
        yield Served(base, model, psutil.Process(process.pid), time.perf_counter() - start)
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def myna(models: Path, model: str, **settings: str) -> Iterator[Served]:
    """A cold `myna serve` in an empty data directory, with these settings and none of the developer's own."""
    with tempfile.TemporaryDirectory() as data:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MYNA_")}
        environment |= {"MYNA_DATA_DIR": data, "MYNA_CACHE_DIR": str(models), "MYNA_MODEL": model}
        environment |= {f"MYNA_{name.upper()}": value for name, value in settings.items()}
        with served([sys.executable, "-m", "myna", "serve", "--no-browser"], model, environment) as server:
            yield server


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(base: str, model: str) -> bool:
    """Whether one token can be had from this server now."""
    body = {"model": model, "prompt": "A", "max_tokens": 1}
    try:
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx2.post(f"{base}/v1/completions", json=body, headers=headers, timeout=30).is_success
    except httpx2.HTTPError:
        return False


def _resident(process: psutil.Process) -> int:
    """Linux splits shared pages among those who share them; elsewhere each has them whole."""
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.rss))
