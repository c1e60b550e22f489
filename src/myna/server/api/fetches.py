"""Fetching models in the background, one fetch a model, and how far each of them is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable

from myna.errors import Conflict, MynaError
from myna.hub import Hub, PullProgress
from myna.server.api import types
from myna.server.tasks import settle

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.25
"""Progress is published at most this often."""
CANCEL_SECONDS = 5.0


class PullCancelled(Exception):
    """Raised inside a fetch to end it."""


class _Fetch:
    """One model on its way."""

    def __init__(self, model: types.Model) -> None:
        self.model = model
        self.cancelled = threading.Event()
        self.pull = types.Pull(
            state="running", done=0, total=model.bytes or 0, bytes_per_second=0, source=None, error=None
        )
        self.task: asyncio.Task[None] | None = None
        self.published_at = 0.0


class Fetches:
    """The fetches that run, and those that failed until somebody has seen it."""

    def __init__(
        self, hub: Hub, progressed: Callable[[types.Model], None], ended: Callable[[str], Awaitable[object]]
    ) -> None:
        """Fetches into a hub.

        Args:
            hub: where models come from, and where they go.
            progressed: told of a model how far it is, or why it failed.
            ended: awaited with the name of a model that has arrived or is given up.
        """
        self._hub = hub
        self._told = progressed
        self._ended = ended
        self._fetches: dict[str, _Fetch] = {}

    def pulls(self) -> dict[str, types.Pull]:
        """How far each model is, by name."""
        return {name: fetch.pull for name, fetch in self._fetches.items()}

    def running(self, name: str) -> bool:
        """Whether a model is on its way."""
        return (fetch := self._fetches.get(name)) is not None and fetch.pull.state == "running"

    def begin(self, model: types.Model) -> types.Model:
        """Begin to fetch a model that is neither on disk nor on its way; gives it back as it is then."""
        fetch = _Fetch(model)
        self._fetches[model.name] = fetch
        fetch.task = asyncio.create_task(self._fetch(fetch), name=f"pull {model.name}")
        return self._publish(fetch)

    async def cancel(self, name: str) -> None:
        """End a fetch, or forget why it failed.

        Raises:
            Conflict: it is not being fetched.
        """
        fetch = self._fetches.get(name)
        if fetch is None or fetch.task is None:
            raise Conflict(f"{name} is not being fetched.", param="name")
        fetch.cancelled.set()
        await asyncio.wait({fetch.task}, timeout=CANCEL_SECONDS)
        if fetch.task.done() and self._fetches.get(name) is fetch:
            del self._fetches[name]

    async def close(self) -> None:
        """End every fetch; what has arrived is kept for the next try."""
        for fetch in self._fetches.values():
            fetch.cancelled.set()
        await settle([fetch.task for fetch in self._fetches.values() if fetch.task is not None], CANCEL_SECONDS)

    async def _fetch(self, fetch: _Fetch) -> None:
        loop = asyncio.get_running_loop()
        name = fetch.model.name

        def progress(at: PullProgress) -> None:  # in the fetching thread
            if fetch.cancelled.is_set():
                raise PullCancelled
            if time.monotonic() - fetch.published_at >= PROGRESS_SECONDS:
                fetch.published_at = time.monotonic()
                loop.call_soon_threadsafe(self._progressed, fetch, at.done, at.total, at.bytes_per_second, at.source)

        try:
            await _in_daemon(lambda: self._hub.pull(name, progress))
        except PullCancelled:
            self._fetches.pop(name, None)
        except MynaError as error:
            self._failed(fetch, error.code, error.message)
            return
        except Exception:
            logger.exception("Fetching %s failed", name)
            self._failed(fetch, MynaError.code, "Something went wrong inside Myna; the server's log says what.")
            return
        else:
            self._fetches.pop(name, None)
        await self._ended(name)

    def _progressed(self, fetch: _Fetch, done: int, total: int, bytes_per_second: float, source: str) -> None:
        if fetch.task is not None and not fetch.task.done():
            fetch.pull = fetch.pull.model_copy(
                update={"done": done, "total": total, "bytes_per_second": bytes_per_second, "source": source}
            )
            self._publish(fetch)

    def _failed(self, fetch: _Fetch, code: str, message: str) -> None:
        fetch.pull = fetch.pull.model_copy(
            update={"state": "failed", "bytes_per_second": 0, "error": types.Failure(code=code, message=message)}
        )
        self._publish(fetch)

    def _publish(self, fetch: _Fetch) -> types.Model:
        model = fetch.model.model_copy(update={"pull": fetch.pull})
        self._told(model)
        return model


async def _in_daemon(work: Callable[[], object]) -> None:
    """Run blocking work in a thread that does not keep the process alive, unlike those of `asyncio.to_thread`."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="model fetch", daemon=True).start()
    await done
