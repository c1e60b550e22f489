"""Which models are loaded: each in an engine process of its own, started on demand, watched, replaced, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from myna.backends.base import Backend, ModelDescription
from myna.backends.native import NativeBackend, connect
from myna.backends.process import EngineProcess
from myna.engine.options import EngineOptions, engine_options
from myna.errors import EngineCrashed, EngineError, InvalidParameter, ModelTooLarge, MynaError, NotFound
from myna.hub import Hub

if TYPE_CHECKING:
    from myna.settings import Settings

_log = logging.getLogger(__name__)

MAX_CRASHES = 3
CRASH_WINDOW = 60.0
"""A model whose process crashed `MAX_CRASHES` times within so many seconds is left alone until they have passed."""

_ADAPTER_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

ModelState = Literal["absent", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model as the manager sees it. ``error``: why it is not loaded although it was asked for."""

    name: str
    state: ModelState
    error: MynaError | None = None
    description: ModelDescription | None = None
    running: int = 0
    adapters: tuple[str, ...] = ()

    @property
    def process_id(self) -> int | None:
        return self.description.process_id if self.description else None


class _Slot:
    """What is known of one model that was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.adapters: dict[str, Path] = {}  # loaded with every new process
        self.state: ModelState = "absent"
        self.error: MynaError | None = None
        self.backend: NativeBackend | None = None
        self.description: ModelDescription | None = None
        self.loading: asyncio.Task[NativeBackend] | None = None
        self.waiting = 0  # callers of `get` who are about to use it
        self.last_used = 0.0
        self.crashes: deque[float] = deque(maxlen=MAX_CRASHES)

    @property
    def running(self) -> int:
        return self.backend.num_running if self.backend else 0

    @property
    def in_use(self) -> bool:
        return self.state == "loading" or self.running > 0 or self.waiting > 0

    @property
    def status(self) -> ModelStatus:
        return ModelStatus(
            self.name, self.state, self.error, self.description, self.running, tuple(sorted(self.adapters))
        )


class ModelManager:
    """Gives out backends by a model's name. Belongs to one event loop.

    Args:
        settings: how models are run, and which is the default.
        early: what `myna.backends.process.start_early` returned.
    """

    def __init__(self, settings: Settings, *, early: EngineProcess | None = None) -> None:
        self._settings = settings
        self._hub = Hub(settings.models_dir)
        self._early = early
        self._slots: dict[str, _Slot] = {}
        self._burials: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[ModelStatus], None]] = []
        self._one_at_a_time = asyncio.Lock()  # two that load together would not see each other's memory
        self._room = asyncio.Event()
        self._is_closed = False

    @property
    def default(self) -> str:
        """The default model's name.

        Raises:
            NotFound: the settings name a model that nobody knows.
        """
        return self._canonical(self._settings.model)

    @property
    def budget(self) -> int:
        """Bytes that the weights of all models may take together; 0: as many as there are."""
        return self._settings.memory_budget

    async def get(self, name: str | None = None) -> Backend:
        """A model's backend, loaded if need be. Ask for it anew for every request: it may have been replaced.

        Raises:
            NotFound: no such model, or it is not on disk.
            ModelFileError: its file is not usable.
            ModelTooLarge: it does not fit into memory, even with every idle model unloaded.
            EngineError: its process crashed too often, or the manager is closed.
        """
        if self._is_closed:
            raise EngineError("Myna is shutting down.")
        name = self._canonical(self._settings.model if name is None else name)
        slot = self._slot(name)
        slot.last_used = time.monotonic()
        if slot.state == "ready":
            assert slot.backend is not None
            return slot.backend
        if slot.loading is None:
            self._refuse_crash_loop(slot)
            slot.loading = asyncio.create_task(self._load(slot))
        loading = slot.loading
        slot.waiting += 1
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if loading.cancelled() and caller is not None and not caller.cancelling():
                raise EngineError(f"{name} was unloaded while it was loading. Send the request again.") from None
            raise
        finally:
            slot.waiting -= 1
            if not slot.in_use:
                self._made_room()

    def others_in_use(self, name: str) -> bool:
        """Whether models other than this one answer, or are being loaded to."""
        name = self._canonical(name)
        return any(slot.in_use for slot in self._slots.values() if slot.name != name)

    async def room(self) -> None:
        """Wait until a model has ended its last answer, was unloaded or could not be loaded."""
        await self._room.wait()

    def status(self, name: str) -> ModelStatus:
        """How a model is; one that was never asked for is absent.

        Raises:
            NotFound: no such model.
        """
        name = self._canonical(name)
        slot = self._slots.get(name)
        return slot.status if slot else ModelStatus(name, "absent")

    def loaded(self) -> list[ModelStatus]:
        """All models that are not absent."""
        return [slot.status for slot in self._slots.values() if slot.state != "absent"]

    def subscribe(self, listener: Callable[[ModelStatus], None]) -> Callable[[], None]:
        """Have a function called, in the event loop's thread, whenever a model's state changes; returns the undoing."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def unload(self, name: str) -> None:
        """End a model's process; its running answers fail with `EngineError`."""
        slot = self._slots.get(self._canonical(name))
        if slot is not None:
            await self._unload(slot)

    async def load_adapter(self, model: str, name: str, path: str) -> None:
        """Give a model a LoRA adapter, which it keeps until it is taken away, also over a crash and when unloaded.

        Raises:
            NotFound: no such model.
            InvalidParameter: the name is malformed, or the directory is not below `Settings.shared_adapters_dir`.
            Conflict: the model has an adapter of this name.
            ModelFileError, UnsupportedParameter: it cannot be used, and why; or what loading the model raises.
        """
        if not _ADAPTER_NAME.fullmatch(name):
            raise InvalidParameter(
                f"An adapter cannot be called {name!r:.80}; use up to 64 letters, digits and the marks . _ -",
                param="lora_name",
            )
        directory = self._adapter_directory(path)
        backend = await self.get(model)
        await backend.load_adapter(name, str(directory))
        slot = self._slot(self._canonical(model))
        slot.adapters[name] = directory
        self._change(slot, slot.state, slot.error)

    async def unload_adapter(self, model: str, name: str) -> None:
        """Take an adapter from a model; answers that use it are still finished.

        Raises:
            NotFound: no such model, or it has no such adapter.
        """
        slot = self._slot(self._canonical(model))
        if slot.adapters.pop(name, None) is None:
            raise NotFound(f"{slot.name} has no adapter {name!r:.80}.", param="lora_name")
        if slot.backend is not None:
            await slot.backend.unload_adapter(name)
        self._change(slot, slot.state, slot.error)

    def adapters(self) -> dict[str, list[str]]:
        """Names of adapters by model; without those models that have none."""
        found = {self.default: sorted(self._settings.adapters)}
        found.update((slot.name, sorted(slot.adapters)) for slot in self._slots.values())
        return {model: names for model, names in found.items() if names}

    async def statistics(self) -> dict[str, dict[str, float]]:
        """The engine's counters and gauges of every model that is ready."""
        found = {}
        for slot in list(self._slots.values()):
            if slot.backend is not None:
                with contextlib.suppress(EngineError):  # it is ending just now
                    found[slot.name] = await slot.backend.statistics()
        return found

    async def close(self) -> None:
        """End every process."""
        self._is_closed = True
        await asyncio.gather(*(self._unload(slot) for slot in self._slots.values()), *self._burials)
        early, self._early = self._early, None
        if early is not None:
            await asyncio.to_thread(early.end)

    def _slot(self, name: str) -> _Slot:
        """What is known of a model; the default one begins with the adapters of the settings."""
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = _Slot(name)
            if name == self.default:
                slot.adapters.update(self._settings.adapters)
        return slot

    def _adapter_directory(self, path: str) -> Path:
        """A directory that may be asked for over HTTP: whoever asks must not find out what other files there are."""
        allowed = self._settings.shared_adapters_dir.resolve()
        try:
            directory = (allowed / path).resolve()
            is_there = directory.is_relative_to(allowed) and directory.is_dir()
        except (OSError, ValueError):  # too long, or a null character
            is_there = False
        if not is_there:
            raise InvalidParameter(
                f"There is no adapter in {path!r:.200}. Put its directory into {allowed}, or start Myna with "
                "--adapter NAME=PATH.",
                param="lora_path",
            )
        return directory

    def _canonical(self, name: str) -> str:
        return self._hub.resolve(name).name

    async def _load(self, slot: _Slot) -> NativeBackend:
        began = time.monotonic()
        self._change(slot, "loading")
        try:
            path = self._hub.find(slot.name)
            if path is None:
                raise NotFound(f"{slot.name} is not on disk. Fetch it first: myna pull {slot.name}", param="model")
            async with self._one_at_a_time:
                backend = await self._start_with_room(slot, engine_options(self._settings, path, slot.name))
            await _load_adapters(backend, slot.adapters)
            slot.backend, slot.description = backend, await backend.describe()
        except MynaError as error:
            if isinstance(error, EngineCrashed):
                slot.crashes.append(time.monotonic())
            self._change(slot, "failed", error)
            raise
        except asyncio.CancelledError:
            self._change(slot, "absent")
            raise
        finally:
            slot.loading = None
        _log.info("%s", _start_message(slot.description, time.monotonic() - began))
        self._change(slot, "ready")
        backend.when_ended(lambda error: self._bury(slot, backend, error))
        backend.when_idle(self._made_room)
        return backend

    async def _start_with_room(self, slot: _Slot, options: EngineOptions) -> NativeBackend:
        """Start a process; while its model does not fit, unload the model that was idle for longest.

        Before it is loaded, its size is taken to be that of its file.
        """
        await self._keep_to_budget(slot, self._hub.size(slot.name) or 0)
        while True:
            try:
                backend = await self._start(options)
                break
            except ModelTooLarge:
                if not await self._make_room(slot):
                    raise
        size = (await backend.describe()).weight_bytes
        if not await self._keep_to_budget(slot, size):
            await backend.close()
            budget, others = self._settings.memory_budget, self._loaded_bytes()
            raise ModelTooLarge(
                f"{slot.name} takes {size / 2**20:,.0f} MiB for its weights and the memory budget is "
                f"{budget / 2**20:,.0f} MiB, of which other models that are in use take {others / 2**20:,.0f} MiB. "
                "Raise memory_budget, choose a smaller model or load it with --quant w4."
            )
        return backend

    async def _keep_to_budget(self, slot: _Slot, size: int) -> bool:
        """Unload idle models until one of this size fits into the budget; whether it does."""
        budget = self._settings.memory_budget
        while budget and self._loaded_bytes() + size > budget:
            if not await self._make_room(slot):
                return False
        return True

    async def _make_room(self, slot: _Slot) -> bool:
        """Unload the model that was idle for longest; whether there was one."""
        idle = [each for each in self._slots.values() if each.state == "ready" and not each.in_use]
        if not idle:
            return False
        longest = min(idle, key=lambda each: each.last_used)
        _log.info("Unloading %s to make room for %s", longest.name, slot.name)
        await self._unload(longest)
        return True

    def _loaded_bytes(self) -> int:
        """Bytes of the weights of all models that are loaded."""
        return sum(slot.description.weight_bytes for slot in self._slots.values() if slot.description is not None)

    async def _start(self, options: EngineOptions) -> NativeBackend:
        early, self._early = self._early, None
        if early is not None and early.options != options:
            await asyncio.to_thread(early.end)
            early = None
        return await connect(early or EngineProcess(options))

    async def _unload(self, slot: _Slot) -> None:
        if (loading := slot.loading) is not None:
            loading.cancel()
            with contextlib.suppress(asyncio.CancelledError, MynaError):
                await loading
            if slot.loading is loading:  # it had not even begun
                slot.loading = None
        backend, slot.backend, slot.description = slot.backend, None, None
        if backend is not None:
            await backend.close()
        if slot.state != "absent":
            self._change(slot, "absent")

    def _bury(self, slot: _Slot, backend: NativeBackend, error: MynaError) -> None:
        """A backend ended. Unless that was meant, its process crashed; the next request starts another."""
        if slot.backend is not backend:
            return
        _log.error("%s", error)
        slot.backend = slot.description = None
        slot.crashes.append(time.monotonic())
        burial = asyncio.get_running_loop().create_task(backend.close())
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)
        self._change(slot, "failed", error)

    def _made_room(self) -> None:
        """Wake those who wait for memory; who comes later waits for the next time."""
        room, self._room = self._room, asyncio.Event()
        room.set()

    def _refuse_crash_loop(self, slot: _Slot) -> None:
        if len(slot.crashes) < MAX_CRASHES:
            return
        wait = slot.crashes[0] + CRASH_WINDOW - time.monotonic()
        if wait > 0:
            raise EngineError(
                f"The engine process of {slot.name} crashed {MAX_CRASHES} times within a minute, so it is not started "
                f"again for {wait:.0f} seconds. The last time: {slot.error} If this goes on, choose a smaller model, "
                "context or kv_cache_bytes."
            )

    def _change(self, slot: _Slot, state: ModelState, error: MynaError | None = None) -> None:
        slot.state, slot.error = state, error
        if state in ("absent", "failed"):
            self._made_room()
        for listener in list(self._listeners):
            listener(slot.status)


async def _load_adapters(backend: NativeBackend, adapters: Mapping[str, Path]) -> None:
    """Load all, or close the backend and raise why not."""
    try:
        for name, directory in adapters.items():
            await backend.load_adapter(name, str(directory))
    except BaseException:
        await backend.close()
        raise


def _start_message(model: ModelDescription, seconds: float) -> str:
    weights, cache = model.weight_bytes / 1e6, model.kv_cache_tokens * model.kv_bytes_per_token / 1e6
    return (
        f"{model.name} is ready after {seconds:.2f} s: {model.quantisation} weights ({weights:.0f} MB), "
        f"{model.instruction_set} kernels on {model.threads} threads, context {model.context} tokens, "
        f"KV cache up to {model.kv_cache_tokens} tokens ({cache:.0f} MB)"
    )
