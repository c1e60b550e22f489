"""Answers of models that do not fit into memory together come one after another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from myna.backends.manager import ModelManager
from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import ModelTooLarge
from myna.runs.turn import in_turn
from myna.settings import Settings
from tests.patience import WAIT_SECONDS
from tests.synthetic import write_model


async def answer(manager: ModelManager, path: str, number: int) -> list[Any]:
    params = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)
    backend = await in_turn(manager, path)
    request = GenerationRequest(str(number), params, text="once upon a time")
    return [event async for event in backend.generate(request)]


async def test_models_that_do_not_fit_together_answer_one_after_another(tmp_path: Path) -> None:
    paths = [str(write_model(tmp_path / f"{number}.gguf")) for number in range(4)]
    settings = Settings(model=paths[0], data_dir=tmp_path, kv_cache_bytes=1 << 20)
    async with asyncio.timeout(WAIT_SECONDS):
        probe = ModelManager(settings)
        size = (await (await probe.get(paths[0])).describe()).weight_bytes
        await probe.close()
        manager = ModelManager(settings.model_copy(update={"memory_budget": int(1.5 * size)}))
        most: list[int] = []
        manager.subscribe(lambda _: most.append(sum(each.state == "ready" for each in manager.loaded())))
        answers = await asyncio.gather(*(answer(manager, path, number) for number, path in enumerate(paths)))
        assert [each[-1].completion_tokens for each in answers] == [20] * 4
        assert max(most) == 1
        assert sum(each.state == "ready" for each in manager.loaded()) == 1
        await manager.close()


async def test_what_does_not_fit_at_all_is_refused_at_once_when_nothing_else_runs(tmp_path: Path) -> None:
    path = str(write_model(tmp_path / "large.gguf"))
    manager = ModelManager(Settings(model=path, data_dir=tmp_path, memory_budget=1))
    async with asyncio.timeout(WAIT_SECONDS):
        with pytest.raises(ModelTooLarge):
            await in_turn(manager, path)
        await manager.close()
