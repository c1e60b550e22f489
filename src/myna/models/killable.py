"""A process of our own for work that may not come to an end: it can be killed, and it can reach nothing.

The parent writes one JSON line a request and reads one line back. The process ends when its input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

START_SECONDS = 30.0


class KillableProcess:
    """Runs a module that calls `answer_requests`; started when first needed and replaced after it was killed.

    Args:
        module: full name of the module.
        seconds: how long one request may take.
        max_reply: bytes of the longest reply.
    """

    def __init__(self, module: str, *, seconds: float, max_reply: int) -> None:
        self._module = module
        self.seconds = seconds
        self._max_reply = max_reply
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: Any) -> Any:
        """The answer to a request, one after the other; None when the process had to be killed or ended by itself.

        Raises:
            OSError: the process cannot be started.
        """
        with self._lock:
            process = self._started()
            reply = self._exchange(process, json.dumps(request).encode() + b"\n", self.seconds)
        return None if reply is None else json.loads(reply)

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stop()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        self._process = subprocess.Popen(  # noqa: S603 (a module of ours)
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Nothing of the user's environment: it may hold keys.
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"},
        )
        if self._exchange(self._process, b"", START_SECONDS) is None:
            raise OSError(f"{self._module} did not start within {START_SECONDS:g} s")
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], request: bytes, seconds: float) -> bytes | None:
        """Send a line and wait for one; None when the process had to be killed or ended by itself."""
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            reply = process.stdout.readline(self._max_reply)
        except OSError:
            reply = b""
        finally:
            watchdog.cancel()
        if reply.endswith(b"\n"):
            return reply
        self._stop()
        return None

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def answer_requests(answer: Callable[[Any], Any], *, max_memory: int | None = None) -> None:
    """The process's side: answer requests until the input ends, with at most ``max_memory`` bytes.

    None where files are mapped: each counts as memory, however large it is.
    """
    _limit_resources(max_memory)
    output = sys.stdout.buffer
    output.write(b"ready\n")
    output.flush()
    for line in sys.stdin.buffer:
        output.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
        output.flush()


def _limit_resources(max_memory: int | None) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the time limit holds there too
        return
    if max_memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
