"""A process of its own for templates that nobody has looked at: it can be killed, and it can reach nothing.

The parent writes one JSON line a request and reads one line back. The process ends when its input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any

from myna.models.dialects.sandbox import MAX_OUTPUT, TemplateFailure, TemplateRefusal, render

START_SECONDS = 30.0
RENDER_SECONDS = 2.0
MAX_MEMORY = 2**30
MAX_REPLY = 16 * MAX_OUTPUT
"""Bytes of a reply: a few renderings, at worst six bytes a character as JSON."""


class TemplateWorker:
    """Renders one template in a process that is started when first needed and replaced after it was killed."""

    def __init__(self, source: str, *, seconds: float = RENDER_SECONDS) -> None:
        self._source = source
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def render(self, variables: list[dict[str, Any]]) -> list[str]:
        """Render the template once for each entry. Raises TemplateRefusal or TemplateFailure."""
        with self._lock:
            process = self._started()
            request = {"source": self._source, "variables": variables}
            reply = self._exchange(process, json.dumps(request).encode() + b"\n", self._seconds)
        if reply is None:
            raise TemplateFailure(f"it did not finish within {self._seconds:g} s and {MAX_MEMORY >> 20} MiB")
        answer = json.loads(reply)
        if "refusal" in answer:
            raise TemplateRefusal(answer["refusal"])
        if "failure" in answer:
            raise TemplateFailure(answer["failure"])
        outputs: list[str] = answer["outputs"]
        return outputs

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stop()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        self._process = subprocess.Popen(  # noqa: S603 (this very module)
            [sys.executable, "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Nothing of the user's environment: it may hold keys.
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"},
        )
        if self._exchange(self._process, b"", START_SECONDS) is None:
            raise TemplateFailure(f"the process that renders it did not start within {START_SECONDS:g} s")
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], request: bytes, seconds: float) -> bytes | None:
        """Send a line and wait for one; None when the process had to be killed or ended by itself."""
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            reply = process.stdout.readline(MAX_REPLY)
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


def main() -> None:
    """Answer requests until the input ends."""
    _limit_resources()
    output = sys.stdout.buffer
    output.write(b"ready\n")
    output.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"outputs": [render(request["source"], variables) for variables in request["variables"]]}
        except TemplateRefusal as refusal:
            answer = {"refusal": str(refusal)}
        except TemplateFailure as failure:
            answer = {"failure": str(failure)}
        output.write(json.dumps(answer).encode() + b"\n")
        output.flush()


def _limit_resources() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the time limit holds there too
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
