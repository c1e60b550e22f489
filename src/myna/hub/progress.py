"""How far a download is, told not too often."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

REPORT_SECONDS = 0.1
SPEED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Bytes done and in all, the speed of the last seconds, and where they come from."""

    done: int
    total: int
    bytes_per_second: float
    source: str


Progress = Callable[[PullProgress], None]


class Meter:
    """Turns a source's reports into `PullProgress`, not too often, with the speed of the last seconds."""

    def __init__(self, source: str, progress: Progress | None) -> None:
        self._source = source
        self._progress = progress
        self._samples: deque[tuple[float, int]] = deque()
        self._reported = float("-inf")
        self._last = PullProgress(0, 0, 0.0, source)

    def report(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._progress is None or (now - self._reported < REPORT_SECONDS and done < total):
            return
        self._reported = now
        self._samples.append((now, done))
        while now - self._samples[0][0] > SPEED_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        speed = max(0, done - before) / (now - since) if now > since else 0.0
        self._last = PullProgress(done, total, speed, self._source)
        self._progress(self._last)

    def repeat(self) -> None:
        """Say once more what was said last, so that whoever waits can still cancel."""
        if self._progress is not None:
            self._progress(self._last)
