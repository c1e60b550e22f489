"""Real engine processes under a manager: loaded once, replaced after a crash, gone at the end."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from myna.backends.base import Backend
from myna.backends.manager import MAX_CRASHES, ModelManager, ModelStatus
from myna.backends.process import EngineProcess, start_early
from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.errors import (
    Conflict,
    EngineCrashed,
    EngineError,
    InvalidParameter,
    ModelFileError,
    ModelTooLarge,
    NotFound,
)
from myna.settings import Settings, load_settings
from tests.adapters import write_adapter
from tests.patience import WAIT_SECONDS
from tests.synthetic import write_model


@pytest.fixture
def settings(endless_model: Path, tmp_path: Path) -> Settings:
    return load_settings(model=str(endless_model), data_dir=tmp_path, threads=1, kv_cache_bytes=64 << 20)


@pytest.fixture
async def manager(settings: Settings) -> AsyncIterator[ModelManager]:
    async with asyncio.timeout(WAIT_SECONDS):
        manager = ModelManager(settings)
        yield manager
        await manager.close()


def ask(**params: Any) -> GenerationRequest:
    return GenerationRequest("a", SamplingParams(seed=5, ignore_eos=True, **params), text="The quick brown fox")


async def answer(backend: Backend) -> list[Any]:
    return [event async for event in backend.generate(ask(max_tokens=5))]


def endless(backend: Backend) -> AsyncGenerator[Any, None]:
    return cast("AsyncGenerator[Any, None]", backend.generate(ask()))


async def process_id(backend: Backend) -> int:
    found = (await backend.describe()).process_id
    assert found is not None
    return found


class Watch:
    """States as a listener sees them, and a way to wait for one."""

    def __init__(self, manager: ModelManager) -> None:
        self.seen: list[ModelStatus] = []
        self.changed = asyncio.Condition()
        self.stop = manager.subscribe(self._note)
        self._tasks: set[asyncio.Task[None]] = set()

    def _note(self, status: ModelStatus) -> None:
        self.seen.append(status)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wake(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    @property
    def states(self) -> list[str]:
        return [status.state for status in self.seen]

    async def until(self, state: str) -> ModelStatus:
        async with self.changed:
            await self.changed.wait_for(lambda: self.states[-1:] == [state])
        return self.seen[-1]


async def test_concurrent_first_requests_load_once(manager: ModelManager, endless_model: Path) -> None:
    watch = Watch(manager)
    assert manager.status(str(endless_model)).state == "absent"
    assert manager.loaded() == []
    backends = await asyncio.gather(*(manager.get() for _ in range(5)), manager.get(str(endless_model)))
    assert len(set(map(id, backends))) == 1
    assert watch.states == ["loading", "ready"]
    [status] = manager.loaded()
    assert status == manager.status(manager.default)
    assert status.description is not None
    assert status.process_id == await process_id(backends[0])
    watch.stop()
    await manager.unload(manager.default)
    assert watch.states == ["loading", "ready"]


async def test_a_killed_engine_fails_its_answers_and_the_next_request_finds_a_fresh_one(manager: ModelManager) -> None:
    watch = Watch(manager)
    backend = await manager.get()
    first = await process_id(backend)
    events = endless(backend)
    assert isinstance(await anext(events), Started)
    assert manager.status(manager.default).running == 1
    os.kill(first, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match=r"was killed.*continue"):
        [_ async for _ in events]
    status = await watch.until("failed")
    assert isinstance(status.error, EngineCrashed)
    fresh = await manager.get()
    assert await process_id(fresh) != first
    assert isinstance((await answer(fresh))[-1], Finished)
    assert watch.states == ["loading", "ready", "failed", "loading", "ready"]


async def test_a_crash_loop_is_stopped_with_a_reason(manager: ModelManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myna.backends.manager.CRASH_WINDOW", 10 * WAIT_SECONDS)  # however long each start takes
    watch = Watch(manager)
    for _ in range(MAX_CRASHES):
        os.kill(await process_id(await manager.get()), signal.SIGKILL)
        await watch.until("failed")
    with pytest.raises(EngineError, match=rf"crashed {MAX_CRASHES} times within a minute.*was killed"):
        await manager.get()
    monkeypatch.setattr("myna.backends.manager.CRASH_WINDOW", 0.0)
    assert await answer(await manager.get())


async def test_a_model_started_early_is_the_one_that_is_used(settings: Settings) -> None:
    early = start_early(settings)
    assert early is not None
    async with asyncio.timeout(WAIT_SECONDS):
        manager = ModelManager(settings, early=early)
        assert await process_id(await manager.get()) == early.id
        await manager.close()
    assert not psutil.pid_exists(early.id)


async def test_an_engine_that_dies_while_loading_is_an_error_and_the_next_request_tries_again(
    settings: Settings,
) -> None:
    early = start_early(settings)
    assert early is not None
    os.kill(early.id, signal.SIGKILL)
    async with asyncio.timeout(WAIT_SECONDS):
        manager = ModelManager(settings, early=early)
        with pytest.raises(EngineCrashed, match="was killed"):
            await manager.get()
        assert isinstance(manager.status(manager.default).error, EngineCrashed)
        assert await answer(await manager.get())
        await manager.close()


async def test_nothing_is_started_early_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    for model in (str(tmp_path / "missing.gguf"), "no such model", "smollm2:135m"):
        assert start_early(settings.model_copy(update={"model": model})) is None


async def test_an_early_process_nobody_asked_for_ends_with_the_manager(settings: Settings) -> None:
    early = start_early(settings)
    assert early is not None
    await ModelManager(settings, early=early).close()
    assert not psutil.pid_exists(early.id)


async def test_unknown_and_absent_models_are_told_apart(manager: ModelManager) -> None:
    with pytest.raises(NotFound, match="smollm2:135m"):
        await manager.get("smollm2:135")
    with pytest.raises(NotFound, match="myna pull smollm2:135m"):
        await manager.get("smollm2:135m")
    assert manager.status("smollm2:135m").state == "failed"


async def test_a_broken_file_fails_with_its_reason_and_is_tried_again(manager: ModelManager, tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match=r"new\.gguf"):
        await manager.get(str(path))
    assert manager.status(str(path)).state == "failed"
    assert isinstance(manager.status(str(path)).error, ModelFileError)
    write_model(path)
    assert await answer(await manager.get(str(path)))


async def test_unloading_ends_the_process_and_its_answers(manager: ModelManager) -> None:
    backend = await manager.get()
    identity = await process_id(backend)
    events = endless(backend)
    await anext(events)
    await manager.unload(manager.default)
    assert not psutil.pid_exists(identity)
    with pytest.raises(EngineError, match="unloaded"):
        [_ async for _ in events]
    assert manager.loaded() == []
    await manager.unload(manager.default)
    assert await answer(await manager.get())


async def test_unloading_while_loading(manager: ModelManager) -> None:
    watch = Watch(manager)
    waiting = asyncio.create_task(manager.get())
    await watch.until("loading")
    await manager.unload(manager.default)
    with pytest.raises(EngineError, match="unloaded while it was loading"):
        await waiting
    assert manager.loaded() == []


async def test_unloading_before_loading_has_begun(manager: ModelManager) -> None:
    waiting = asyncio.create_task(manager.get())
    await asyncio.sleep(0)  # it has asked; the loading waits for its first turn
    await manager.unload(manager.default)
    with pytest.raises(EngineError, match="unloaded while it was loading"):
        await waiting
    assert await answer(await manager.get())


async def test_who_gives_up_waiting_does_not_stop_the_loading(manager: ModelManager) -> None:
    watch = Watch(manager)
    impatient = asyncio.create_task(manager.get())
    await watch.until("loading")
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await watch.until("ready")
    assert watch.states == ["loading", "ready"]


async def test_who_is_cancelled_just_when_the_model_is_unloaded_is_cancelled(manager: ModelManager) -> None:
    waiting = asyncio.create_task(manager.get())
    watch = Watch(manager)
    await watch.until("loading")
    manager.subscribe(lambda status: status.state == "absent" and waiting.cancel())
    await manager.unload(manager.default)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_system_without_room_for_a_process_is_an_error_that_says_so(
    manager: ModelManager, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patched:
        patched.setattr("myna.backends.process.subprocess.Popen", refuse)
        assert start_early(settings) is None
        with pytest.raises(EngineCrashed, match="could not be started: Resource temporarily unavailable"):
            await manager.get()
        assert manager.status(manager.default).state == "failed"
    assert await answer(await manager.get())


async def test_the_model_idle_for_longest_makes_room(
    manager: ModelManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, new = (str(write_model(tmp_path / f"{name}.gguf")) for name in ("1", "2", "new"))
    busy = manager.default
    for path in (busy, first, second):
        await manager.get(path)
    await manager.get(first)  # so that the second was idle for longer
    events = endless(await manager.get(busy))
    await anext(events)

    start = ModelManager._start

    async def start_in_a_small_memory(self: ModelManager, options: Any) -> Any:
        if len([status for status in self.loaded() if status.state == "ready"]) > room:
            raise ModelTooLarge("too large")
        return await start(self, options)

    monkeypatch.setattr(ModelManager, "_start", start_in_a_small_memory)
    room = 2
    await manager.get(new)
    assert {Path(status.name).stem for status in manager.loaded()} == {"1", "endless", "new"}
    room = 0
    with pytest.raises(ModelTooLarge):
        await manager.get(second)
    assert [Path(status.name).stem for status in manager.loaded() if status.state == "ready"] == ["endless"]
    await events.aclose()


async def test_a_budget_is_kept_by_unloading_the_model_idle_for_longest(settings: Settings, tmp_path: Path) -> None:
    first, second = (str(write_model(tmp_path / f"{name}.gguf")) for name in ("1", "2"))
    large = str(write_model(tmp_path / "large.gguf", mlp_width=2048))
    async with asyncio.timeout(WAIT_SECONDS):
        probe = ModelManager(settings)
        size = (await (await probe.get(first)).describe()).weight_bytes
        await probe.close()
        manager = ModelManager(settings.model_copy(update={"memory_budget": int(2.9 * size)}))
        for name in (first, second, first):
            await manager.get(name)
        await manager.get()
        assert {Path(status.name).stem for status in manager.loaded()} == {"1", "endless"}
        events = endless(await manager.get())
        await anext(events)
        with pytest.raises(ModelTooLarge, match=r"memory budget is [\d.]+ MiB, of which other models that are in use"):
            await manager.get(large)
        assert [Path(status.name).stem for status in manager.loaded() if status.state == "ready"] == ["endless"]
        assert await answer(await manager.get(second))
        await events.aclose()
        await manager.close()


async def adapted(backend: Backend, adapter: str | None) -> str:
    request = dataclasses.replace(ask(max_tokens=20), id=str(adapter), adapter=adapter)
    return "".join([event.text async for event in backend.generate(request) if isinstance(event, Delta)])


async def test_adapters_come_and_go_and_outlive_their_process(manager: ModelManager, tmp_path: Path) -> None:
    for seed, name in enumerate(("pirate", "poet")):
        write_adapter(tmp_path / "adapters" / name, seed=seed)
    backend, model = await manager.get(), manager.default
    plain = await adapted(backend, None)
    with pytest.raises(InvalidParameter, match="no adapter 'pirate'"):
        await adapted(backend, "pirate")
    for name in ("pirate", "poet"):
        await manager.load_adapter(model, name, name)
    assert manager.adapters() == {model: ["pirate", "poet"]}
    assert manager.status(model).adapters == ("pirate", "poet")
    with pytest.raises(Conflict):
        await manager.load_adapter(model, "pirate", "pirate")
    pirate, poet, again = await asyncio.gather(*(adapted(backend, name) for name in ("pirate", "poet", None)))
    assert len({pirate, poet, plain}) == 3
    assert again == plain

    os.kill(await process_id(backend), signal.SIGKILL)
    await Watch(manager).until("failed")
    backend = await manager.get()
    assert await adapted(backend, "poet") == poet, "it is loaded with the new process"
    events = backend.generate(dataclasses.replace(ask(), adapter="poet"))
    await anext(events)
    await manager.unload_adapter(model, "poet")
    assert isinstance(await anext(events), Delta), "who uses it goes on"
    await events.aclose()
    with pytest.raises(NotFound):
        await manager.unload_adapter(model, "poet")
    with pytest.raises(InvalidParameter, match="loaded are pirate"):
        await adapted(backend, "poet")


@pytest.mark.parametrize("path", ["/etc", "..", "nowhere", "a\0b", "x" * 5000])
async def test_adapters_are_loaded_from_their_directory_only(manager: ModelManager, path: str, tmp_path: Path) -> None:
    (tmp_path / "adapters").mkdir()
    with pytest.raises(InvalidParameter, match="There is no adapter in") as caught:
        await manager.load_adapter(manager.default, "pirate", path)
    assert caught.value.param == "lora_path"
    with pytest.raises(InvalidParameter, match="cannot be called"):
        await manager.load_adapter(manager.default, "../pirate", path)


async def test_adapters_of_the_settings_may_lie_anywhere(settings: Settings, tmp_path: Path) -> None:
    path = write_adapter(tmp_path / "elsewhere")
    for given, expected in ((path, None), (tmp_path / "missing", ModelFileError)):
        manager = ModelManager(settings.model_copy(update={"adapters": {"pirate": given}}))
        async with asyncio.timeout(WAIT_SECONDS):
            assert manager.adapters() == {manager.default: ["pirate"]}
            if expected is None:
                assert await adapted(await manager.get(), "pirate")
            else:
                with pytest.raises(expected, match="missing"):
                    await manager.get()
            await manager.close()


async def test_statistics_of_every_ready_model(manager: ModelManager) -> None:
    assert await manager.statistics() == {}
    await answer(await manager.get())
    [counted] = (await manager.statistics()).values()
    assert counted["generated_tokens_total"] == 5


async def test_closing_leaves_no_process_and_refuses_more(settings: Settings) -> None:
    manager = ModelManager(settings)
    identity = await process_id(await manager.get())
    await asyncio.gather(manager.close(), manager.close())
    await manager.close()
    assert not psutil.pid_exists(identity)
    with pytest.raises(EngineError, match="shutting down"):
        await manager.get()


async def test_closing_while_loading_leaves_no_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[EngineProcess] = []
    create = EngineProcess.__init__

    def noting(self: EngineProcess, *args: Any) -> None:
        create(self, *args)
        started.append(self)

    monkeypatch.setattr(EngineProcess, "__init__", noting)
    manager = ModelManager(settings)
    waiting = asyncio.create_task(manager.get())
    while not started:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await manager.close()
    assert not psutil.pid_exists(started[0].id)
    with pytest.raises(EngineError):
        await waiting
