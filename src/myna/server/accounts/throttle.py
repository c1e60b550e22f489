"""Waiting times between attempts that fail, so that nobody can guess on."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

REMEMBERED = 10_000
"""Sources of failures; the oldest is forgotten for a new one."""
FORGET_SECONDS = 900


class Throttle:
    """Counts attempts by whatever they have in common, such as an address.

    An attempt counts as failed from its beginning, so that many at once are not free; `succeeded` takes it back. The
    first ``free`` cost nothing; then each doubles the wait for the next, up to ``longest`` seconds. An attempt that
    comes too early is not counted: whoever waits gets his turn, whatever others do.
    """

    def __init__(self, free: int, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.free = free
        self.longest = longest
        self._clock = clock
        self._attempts: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def attempt(self, source: Hashable) -> int:
        """Begin an attempt: 0; or the seconds to wait, and it has not begun."""
        now = self._clock()
        count, last = self._attempts.get(source, (0, -math.inf))
        if now - last > FORGET_SECONDS:
            count = 0
        wait = 0.0 if count < self.free else min(2.0 ** (count - self.free), self.longest)
        if (left := last + wait - now) > 0:
            return math.ceil(left)
        self._attempts[source] = (min(count + 1, self.free + 32), now)
        self._attempts.move_to_end(source)
        if len(self._attempts) > REMEMBERED:
            self._attempts.popitem(last=False)
        return 0

    def succeeded(self, source: Hashable) -> None:
        """The attempt was right: it does not count. What failed before still does, so that no success hides guesses."""
        count, last = self._attempts.get(source, (0, 0.0))
        if count > 1:
            self._attempts[source] = (count - 1, last)
        else:
            self._attempts.pop(source, None)


def network_of(address: str) -> str:
    """What one stranger has at his disposal: an address, of version 6 the whole network of 2**64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return address
