"""The models that are on disk or could be: their list, and fetching them in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from myna import hardware
from myna.backends.manager import ModelManager, ModelStatus
from myna.backends.removal import remove_model
from myna.errors import Conflict, MynaError, NotFound, Refused
from myna.hub import Hub, PullProgress, catalog, recommended_sampling
from myna.hub.licence_texts import licence_texts
from myna.hub.licences import Licence
from myna.models.description import Description, FileDescription
from myna.models.descriptions import Descriptions
from myna.runs.answer import MAX_TOKENS
from myna.runs.turn import in_turn
from myna.server.api import types
from myna.server.api.cards import chats, licence_of, thinks
from myna.server.api.speeds import Speeds

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.25
"""Progress is published at most this often."""
CANCEL_SECONDS = 5.0


class PullCancelled(Exception):
    """Raised inside a fetch to end it."""


class _Loaded(NamedTuple):
    """How the models are that were asked for, and each model's adapters."""

    models: dict[str, ModelStatus]
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

    def __init__(self, hub: Hub, manager: ModelManager, speeds: Speeds) -> None:
        self._hub = hub
        self._manager = manager
        self._speeds = speeds
        self._cards = Descriptions(hub.directory / "descriptions.json")
        self._loads: set[asyncio.Task[None]] = set()
        self._fetches: dict[str, _Fetch] = {}
        self._watchers: set[Callable[[types.Model], None]] = set()
        self._announcing: set[asyncio.Task[None]] = set()
        self._telling = asyncio.Lock()
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

    def memory(self) -> types.MachineMemory:
        """What there is for models now."""
        memory = hardware.memory()
        return types.MachineMemory(total=memory.total, available=memory.available, budget=self._manager.budget)

    async def card(self, name: str) -> types.ModelCard:
        """All that is known of a model.

        Raises:
            NotFound: no such model.
        """
        model = await self.model(self.canonical(name))
        return await asyncio.to_thread(self._card, model)

    def describe(self, path: Path) -> Description:
        """What the files of a model say of it; the first time this takes some tenths of a second.

        Raises:
            ModelFileError: there is no model that Myna can describe.
        """
        return self._cards.of(path)

    def licence(self, name: str) -> Licence | None:
        """A model's licence; None where it is not known. Reads the model's file where nothing else knows it.

        Raises:
            NotFound: no such model.
        """
        known = licence_of(self._hub.resolve(name), None)
        return known or licence_of(self._hub.resolve(name), self._cards.declared(self._hub.find(name)))

    async def load(self, name: str) -> types.Model:
        """Begin to load a model, after those that use the memory which it needs; how that goes, the model says.

        Raises:
            NotFound: no such model, or it is not on disk.
        """
        name = self.canonical(name)
        if not (await self.model(name)).on_disk:
            raise NotFound(f"{name} is not on disk. Fetch it first.", param="model")

        async def load() -> None:
            with contextlib.suppress(MynaError):  # the model's status has it
                await in_turn(self._manager, name)

        task = asyncio.create_task(load(), name=f"load {name}")
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)
        return await self.model(name)

    async def unload(self, name: str) -> types.Model:
        """Free the memory of a model; its running answers end with what they have.

        Raises:
            NotFound: no such model.
        """
        name = self.canonical(name)
        await self._manager.unload(name)
        return await self.model(name)

    async def remove(self, name: str) -> None:
        """Delete a model that was fetched from the disk, unloading it first.

        Raises:
            NotFound: no such model, or it is not on disk.
            Refused: it is a file that Myna did not fetch.
            Conflict: it is being fetched.
        """
        name = self.canonical(name)
        model = await self.model(name)
        if model.pull is not None and model.pull.state == "running":
            raise Conflict(f"{name} is being fetched; cancel that first.", param="model")
        if not model.on_disk:
            raise NotFound(f"{name} is not on disk, so there is nothing to delete.", param="model")
        if not model.removable:
            raise Refused(f"{name} was not fetched by Myna; delete it yourself.", param="model")
        await self._manager.unload(name)
        await asyncio.to_thread(remove_model, self._hub, name)
        self._tell(await self.model(name))

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
        for load in self._loads:
            load.cancel()
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
            # In turn, so that what is told last is what came last.
            async with self._telling:
                with contextlib.suppress(NotFound):  # a file that is gone
                    self._tell(await self.model(status.name))

        task = asyncio.create_task(announce())
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    def _ready(self) -> _Loaded:
        """What the manager knows; asked for in the event loop, to which it belongs."""
        return _Loaded({status.name: status for status in self._manager.loaded()}, self._manager.adapters())

    def _list(self, ready: _Loaded) -> list[types.Model]:
        """What can be talked to: a model for embeddings has no place in a chat."""
        on_disk = [local for local in self._hub.local() if local.entry is None or local.entry.kind == "chat"]
        self._cards.read(local.path for local in on_disk)  # all at once
        known = [entry.name for entry in catalog.models() if entry.kind == "chat"]
        fetched = (self._hub.resolve(name) for name in list(self._fetches))
        others = [reference.name for reference in fetched if reference.kind == "huggingface"]
        names = dict.fromkeys([*(local.name for local in on_disk), *known, self.default, *others])
        models = []
        for name in names:
            with contextlib.suppress(NotFound):  # a default that is a file, and the file is gone
                models.append(self._one(name, ready))
        return sorted(models, key=lambda model: not model.on_disk)  # stable: otherwise in the order of the catalog

    def _one(self, name: str, ready: _Loaded) -> types.Model:
        reference = self._hub.resolve(name)
        entry, path = reference.entry, self._hub.find(name)
        fetch = self._fetches.get(reference.name)
        status = ready.models.get(reference.name) or ModelStatus(reference.name, "absent")
        card = self._cards.declared(path)
        terms = licence_of(reference, card)
        sampling = recommended_sampling(reference.name)
        return types.Model(
            name=reference.name,
            title=entry.title if entry else reference.name.rsplit("/", 1)[-1],
            description=entry.description if entry else None,
            parameters=entry.parameters if entry else card.parameters if card else None,
            licence=terms.id if terms else None,
            licence_class=terms.licence_class if terms else None,
            licence_title=terms.title if terms else None,
            licence_url=terms.url if terms else None,
            forbids=terms is not None and terms.forbids,
            context=entry.context if entry else card.context if card else None,
            bytes=self._hub.size(name) if path else entry.bytes if entry else None,
            on_disk=path is not None,
            removable=path is not None and reference.kind != "local",
            state=status.state,
            load_error=types.Failure(code=status.error.code, message=status.error.message) if status.error else None,
            running=status.running,
            memory=_memory(status, card),
            tokens_per_second=self._speeds.of(reference.name),
            chats=chats(card),
            thinks=thinks(card),
            sampling=types.Sampling(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=MAX_TOKENS,
                system_prompt=sampling.system_prompt,
            ),
            loaded=status.state == "ready",
            default=reference.name == self.default,
            adapters=ready.adapters.get(reference.name, []),
            pull=fetch.pull if fetch else None,
        )

    def _card(self, model: types.Model) -> types.ModelCard:
        reference, path = self._hub.resolve(model.name), self._hub.find(model.name)
        pulled = next((local for local in self._hub.local() if local.name == model.name), None)
        card, entry = self._cards.declared(path), reference.entry
        about = entry.about if entry else catalog.NOTHING_KNOWN
        return types.ModelCard(
            model=model,
            sources=[source.label for source in entry.sources] if entry else [],
            source=pulled.source if pulled else None,
            sha256=pulled.sha256 if pulled else None,
            fetched_at=int(pulled.pulled_at * 1000) if pulled else None,
            # A path tells of the machine; it is the name already where a file was given.
            path=str(path) if reference.kind == "local" else None,
            architecture=card.architecture if card else None,
            layers=card.layers if card else None,
            width=card.width if card else None,
            heads=card.heads if card else None,
            vocabulary=card.vocabulary if card else None,
            loaded_as=card.loaded_as if card else None,
            stored=card.stored if card else {},
            packed=card.memory if card else {},
            dialect=card.dialect if card else None,
            trained_on=about.trained_on,
            limits=about.limits,
            more=about.more,
            licence_texts=[types.LicenceText.model_validate(each) for each in licence_texts(path)] if path else [],
        )


def _memory(status: ModelStatus, card: FileDescription | None) -> types.ModelMemory | None:
    """What a model takes as it runs, or by its file what it would take."""
    if (running := status.description) is not None:
        return types.ModelMemory(weights=running.weight_bytes, kv_per_1000_tokens=running.kv_bytes_per_token * 1000)
    if card is None or "auto" not in card.memory:
        return None
    return types.ModelMemory(weights=card.memory["auto"], kv_per_1000_tokens=card.kv_bytes_per_1000_tokens)


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
