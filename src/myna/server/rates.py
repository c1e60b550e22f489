"""How much may be asked for in a minute: by each user, and by each key beside him.

A limit is a bucket that holds a minute's worth and fills up evenly, so that a burst is fine and a steady excess is not.
Requests are taken when they come. Tokens are taken as they are computed, since nobody knows before how many an answer
will have: a request begins as long as any are left, and what it takes beyond that is a debt which later ones wait for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from myna.errors import RateLimited
from myna.server.identity import Limits

Unit = Literal["requests", "tokens"]

MINUTE = 60.0
MANY_BUCKETS = 4096
"""From so many on, those are forgotten that are full: a new one would be, too."""


@dataclass(slots=True)
class Bucket:
    """What is left of a limit, as of a moment in seconds."""

    limit: int
    left: float
    at: float

    def fill(self, limit: int, now: float) -> None:
        """Let time pass, under what is now the limit."""
        self.left = min(limit, self.left + (now - self.at) * limit / MINUTE)
        self.limit, self.at = limit, now

    def seconds_until(self, amount: float) -> float:
        """When so much is left again."""
        return max(0.0, (amount - self.left) * MINUTE / self.limit)


class Rates:
    """All buckets of one server. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, Unit], Bucket] = {}

    def admit(self, limits: Mapping[str, Limits]) -> None:
        """Take one request from everybody whose limits count, or from nobody.

        Raises:
            RateLimited: there is none left, or no token.
        """
        requests, tokens = self._of(limits, "requests"), self._of(limits, "tokens")
        for bucket in requests:
            if bucket.left < 1:
                raise _refusal("requests", bucket, bucket.seconds_until(1))
        for bucket in tokens:
            if bucket.left <= 0:
                raise _refusal("tokens", bucket, bucket.seconds_until(1))
        for bucket in requests:
            bucket.left -= 1

    def spend(self, name: str, tokens: int) -> None:
        """Take tokens of somebody whose limits may count."""
        if (bucket := self._buckets.get((name, "tokens"))) is not None:
            bucket.left -= tokens

    def headers(self, limits: Mapping[str, Limits]) -> dict[str, str]:
        """OpenAI's headers: of the bucket with least left, for each unit that has a limit."""
        headers = {}
        for unit in ("requests", "tokens"):
            if buckets := self._of(limits, unit):
                least = min(buckets, key=lambda bucket: bucket.left)
                headers[f"x-ratelimit-limit-{unit}"] = str(least.limit)
                headers[f"x-ratelimit-remaining-{unit}"] = str(max(0, int(least.left)))
                headers[f"x-ratelimit-reset-{unit}"] = duration(least.seconds_until(least.limit))
        return headers

    def _of(self, limits: Mapping[str, Limits], unit: Unit) -> list[Bucket]:
        now = self._clock()
        buckets = []
        for name, each in limits.items():
            if limit := each.requests_per_minute if unit == "requests" else each.tokens_per_minute:
                if (bucket := self._buckets.get((name, unit))) is None:
                    bucket = self._new((name, unit), limit, now)
                bucket.fill(limit, now)
                buckets.append(bucket)
        return buckets

    def _new(self, key: tuple[str, Unit], limit: int, now: float) -> Bucket:
        if len(self._buckets) >= MANY_BUCKETS:
            self._buckets = {
                key: bucket
                for key, bucket in self._buckets.items()
                if bucket.seconds_until(bucket.limit) > now - bucket.at
            }
        self._buckets[key] = bucket = Bucket(limit, limit, now)
        return bucket


def duration(seconds: float) -> str:
    """A time as OpenAI's headers have it: ``850ms``, ``1.5s``, ``6m0s``."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _refusal(unit: Unit, bucket: Bucket, seconds: float) -> RateLimited:
    return RateLimited(
        f"Rate limit reached: {bucket.limit} {unit} a minute. Please try again in {duration(seconds)}.",
        unit=unit,
        retry_after=seconds,
    )
