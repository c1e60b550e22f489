"""The models of this server for whoever uses them: their list, loading, fetching and deleting them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from myna import hardware
from myna.backends.manager import ModelManager, ModelStatus
from myna.backends.removal import remove_model
from myna.errors import Conflict, MynaError, NotFound, Refused
from myna.hub import Hub
from myna.hub.licences import Licence
from myna.models.description import Description
from myna.runs.turn import in_turn
from myna.server.api import types
from myna.server.api.fetches import Fetches
from myna.server.api.inventory import Inventory, Moment
from myna.server.api.speeds import Speeds
from myna.server.tasks import settle

ANNOUNCING_SECONDS = 5.0


class Library:
    """Lists, loads, fetches and deletes models; whoever watches hears of every change."""

    def __init__(self, hub: Hub, manager: ModelManager, speeds: Speeds) -> None:
        self._hub = hub
        self._manager = manager
        self._inventory = Inventory(hub, speeds)
        self._fetches = Fetches(hub, self._tell, self._tell_anew)
        self._loads: set[asyncio.Task[None]] = set()
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
        return await asyncio.to_thread(self._inventory.models, self._now())

    async def model(self, name: str) -> types.Model:
        """One model.

        Raises:
            NotFound: no such model.
        """
        return await asyncio.to_thread(self._inventory.model, name, self._now())

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
        return await asyncio.to_thread(self._inventory.card, model)

    def describe(self, path: Path) -> Description:
        """What the files of a model say of it; the first time this takes some tenths of a second.

        Raises:
            ModelFileError: there is no model that Myna can describe.
        """
        return self._inventory.describe(path)

    def licence(self, name: str) -> Licence | None:
        """A model's licence; None where it is not known. Reads the model's file where nothing else knows it.

        Raises:
            NotFound: no such model.
        """
        return self._inventory.licence(name)

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
        if self._fetches.running(name):
            raise Conflict(f"{name} is being fetched; cancel that first.", param="model")
        if not model.on_disk:
            raise NotFound(f"{name} is not on disk, so there is nothing to delete.", param="model")
        if not model.removable:
            raise Refused(f"{name} was not fetched by Myna; delete it yourself.", param="model")
        await self._manager.unload(name)
        await asyncio.to_thread(remove_model, self._hub, name)
        await self._tell_anew(name)

    async def pull(self, name: str) -> types.Model:
        """Begin to fetch a model; nothing happens if it is on disk or on its way already.

        Raises:
            NotFound: no such model.
        """
        model = await self.model(self.canonical(name))
        if model.on_disk or self._fetches.running(model.name):
            return model
        return self._fetches.begin(model)

    async def cancel(self, name: str) -> types.Model:
        """End a fetch, or forget why it failed.

        Raises:
            NotFound: no such model.
            Conflict: it is not being fetched.
        """
        await self._fetches.cancel((await self.model(name)).name)
        return await self._tell_anew(name)

    async def close(self) -> None:
        """End every fetch; what has arrived is kept for the next try."""
        self._unsubscribe()
        self._watchers.clear()
        for load in self._loads:
            load.cancel()
        await asyncio.gather(self._fetches.close(), settle(self._announcing, ANNOUNCING_SECONDS))

    def _tell(self, model: types.Model) -> None:
        for watcher in list(self._watchers):
            watcher(model)

    async def _tell_anew(self, name: str) -> types.Model:
        model = await self.model(name)
        self._tell(model)
        return model

    def _loading_changed(self, status: ModelStatus) -> None:
        async def announce() -> None:
            # In turn, so that what is told last is what came last.
            async with self._telling:
                with contextlib.suppress(NotFound):  # a file that is gone
                    await self._tell_anew(status.name)

        task = asyncio.create_task(announce())
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    def _now(self) -> Moment:
        loaded = {status.name: status for status in self._manager.loaded()}
        return Moment(self.default, loaded, self._manager.adapters(), self._fetches.pulls())
