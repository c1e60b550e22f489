"""Work that goes on beside a block of code, such as a service's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do work for as long as the block runs; at its end the work is cancelled, and has ended when this returns.

    Raises:
        Whatever the work has ended with by itself, when the block ends.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settle(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    """Wait for tasks to end, and cancel those that take longer than so many seconds."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
