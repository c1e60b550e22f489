"""Ctrl-C, outside of event loops, which know what to do with it.

Until a verb holds something that it must give back, Ctrl-C ends the process on the spot, as it does with most
programs. Python's own way, an exception wherever the program happens to be, suits neither imports, where it prints a
traceback, nor callbacks of compiled code (pydantic builds its models in some), where it is lost.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ends_on_interrupt() -> Iterator[None]:
    """Within, Ctrl-C ends the process."""
    with _handled_by(signal.SIG_DFL):
        yield


@contextmanager
def raises_on_interrupt() -> Iterator[None]:
    """Within, Ctrl-C is a KeyboardInterrupt, or what an event loop makes of it: something is to be given back."""
    with _handled_by(signal.default_int_handler):
        yield


@contextmanager
def _handled_by(handler: signal.Handlers | Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # started in the background by a script, whose Ctrl-C is not meant for it
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
