"""The models that are on disk or could be: their list, and fetching them in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from myna.backends.manager import ModelManager, ModelStatus
from myna.errors import Conflict, MynaError, NotFound
from myna.hub import Hub, PullProgress, catalog
from myna.server.api import types

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.25
"""Progress is published at most this often."""
CANCEL_SECONDS = 5.0


class PullCancelled(Exception):
    """Raised inside a fetch to end it."""


class _Loaded(NamedTuple):
    """Names of the models that are loaded, and of each model's adapters."""

    names: frozenset[str]
    adapters: dict[str, list[str]]


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


class Library:
    """Lists models and fetches them, one fetch a model; whoever watches hears of every change."""

    def __init__(self, hub: Hub, manager: ModelManager) -> None:
        self._hub = hub
        self._manager = manager
        self._fetches: dict[str, _Fetch] = {}
        self._watchers: set[Callable[[types.Model], None]] = set()
        self._announcing: set[asyncio.Task[None]] = set()
        self._unsubscribe = manager.subscribe(self._loading_changed)

    @property
    def default(self) -> str:
        """Name of the default model."""
        return self._manager.default

    def canonical(self, name: str) -> str:
        """A model's one name.

        Raises:
            NotFound: no such model, or a path that the server was not started with: paths are for the command line.
        """
        reference = self._hub.resolve(name)
        if reference.kind == "local" and reference.name != self.default:
            raise NotFound(f"{name} is a file. Start Myna with --model {name} to use it.", param="model")
        return reference.name

    def watch(self, watcher: Callable[[types.Model], None]) -> Callable[[], None]:
        """Call ``watcher`` with each model that changes; gives back what undoes this."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    async def models(self) -> list[types.Model]:
        """Every model, those on disk first."""
        return await asyncio.to_thread(self._list, self._ready())

    async def model(self, name: str) -> types.Model:
        """One model.

        Raises:
            NotFound: no such model.
        """
        return await asyncio.to_thread(self._one, name, self._ready())

    async def pull(self, name: str) -> types.Model:
        """Begin to fetch a model; nothing happens if it is on disk or on its way already.

        Raises:
            NotFound: no such model.
        """
        model = await self.model(self.canonical(name))
        running = self._fetches.get(model.name)
        if model.on_disk or (running is not None and running.pull.state == "running"):
            return model
        fetch = _Fetch(model)
        self._fetches[model.name] = fetch
        fetch.task = asyncio.create_task(self._fetch(fetch), name=f"pull {model.name}")
        return self._publish(fetch)

    async def cancel(self, name: str) -> types.Model:
        """End a fetch, or forget why it failed.

        Raises:
            NotFound: no such model.
            Conflict: it is not being fetched.
        """
        model = await self.model(name)
        fetch = self._fetches.get(model.name)
        if fetch is None or fetch.task is None:
            raise Conflict(f"{model.name} is not being fetched.", param="name")
        fetch.cancelled.set()
        await asyncio.wait({fetch.task}, timeout=CANCEL_SECONDS)
        if fetch.task.done() and self._fetches.get(model.name) is fetch:
            del self._fetches[model.name]
        return self._tell(await self.model(name))

    async def close(self) -> None:
        """End every fetch; what has arrived is kept for the next try."""
        self._unsubscribe()
        self._watchers.clear()
        tasks = {fetch.task for fetch in self._fetches.values() if fetch.task is not None} | self._announcing
        for fetch in self._fetches.values():
            fetch.cancelled.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
            for task in late:
                task.cancel()

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
        self._tell(await self.model(name))

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
        return self._tell(fetch.model.model_copy(update={"pull": fetch.pull}))

    def _tell(self, model: types.Model) -> types.Model:
        for watcher in list(self._watchers):
            watcher(model)
        return model

    def _loading_changed(self, status: ModelStatus) -> None:
        async def announce() -> None:
            with contextlib.suppress(NotFound):  # a file that is gone
                self._tell(await self.model(status.name))

        task = asyncio.create_task(announce())
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    def _ready(self) -> _Loaded:
        """What the manager knows; asked for in the event loop, to which it belongs."""
        names = frozenset(status.name for status in self._manager.loaded() if status.state == "ready")
        return _Loaded(names, self._manager.adapters())

    def _list(self, ready: _Loaded) -> list[types.Model]:
        """What can be talked to: a model for embeddings has no place in a chat."""
        on_disk = [local.name for local in self._hub.local() if local.entry is None or local.entry.kind == "chat"]
        known = [entry.name for entry in catalog.models() if entry.kind == "chat"]
        names = dict.fromkeys([*on_disk, *known, self.default])
        models = []
        for name in names:
            with contextlib.suppress(NotFound):  # a default that is a file, and the file is gone
                models.append(self._one(name, ready))
        return sorted(models, key=lambda model: not model.on_disk)  # stable: otherwise in the order of the catalog

    def _one(self, name: str, ready: _Loaded) -> types.Model:
        reference = self._hub.resolve(name)
        entry, path = reference.entry, self._hub.find(name)
        fetch = self._fetches.get(reference.name)
        return types.Model(
            name=reference.name,
            title=entry.title if entry else reference.name.rsplit("/", 1)[-1],
            description=entry.description if entry else None,
            parameters=entry.parameters if entry else None,
            licence=entry.licence if entry else None,
            licence_class=entry.licence_class if entry else None,
            context=entry.context if entry else None,
            bytes=self._hub.size(name) if path else entry.bytes if entry else None,
            on_disk=path is not None,
            loaded=reference.name in ready.names,
            default=reference.name == self.default,
            adapters=ready.adapters.get(reference.name, []),
            pull=fetch.pull if fetch else None,
        )


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
