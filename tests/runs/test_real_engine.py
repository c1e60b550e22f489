"""Runs on a real engine process, with a tiny model."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from string import ascii_letters

import pytest

from myna.backends.manager import ModelManager
from myna.runs.service import NewMessage, RunService
from myna.settings import Settings
from myna.store import messages
from myna.store.database import Database
from tests.runs.conversation import OWNER, Listener, new_id, new_run
from tests.synthetic import vocabulary, write_model

LETTERS = {token_id: 100.0 for token_id, piece in enumerate(vocabulary(384)[0]) if piece in set(ascii_letters)}
"""A bias to single letters: text that is no replacement characters, and that the tokenizer would cut otherwise."""


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[ModelManager]:
    model = write_model(tmp_path / "tiny.gguf", context=16_384)
    manager = ModelManager(Settings(data_dir=tmp_path / "engine", model=str(model)))
    yield manager
    await manager.close()


@pytest.fixture
async def service(database: Database, manager: ModelManager) -> AsyncIterator[RunService]:
    service = RunService(database, manager)
    await service.start()
    yield service
    await service.close()


async def end(service: RunService, run_id: str) -> None:
    if (log := service.live(OWNER, run_id)) is not None:
        await log.ended.wait()


async def test_the_next_turn_finds_the_last_one_in_the_prefix_cache(service: RunService) -> None:
    chat_id = new_id()
    run = new_run(seed=1, max_tokens=200, logit_bias=LETTERS)
    first = await service.send(OWNER, chat_id, NewMessage(new_id(), None, "Tell me about birds."), run)
    await end(service, first.run.id)
    second = await service.send(
        OWNER, chat_id, NewMessage(new_id(), first.messages[1].id, "And?"), new_run(seed=1, max_tokens=4)
    )
    await end(service, second.run.id)
    usages = [message.usage for message in (await service.open_chat(OWNER, chat_id)).messages[1::2]]
    assert usages[0] is not None
    assert usages[1] is not None
    before = usages[0].prompt_tokens + usages[0].completion_tokens
    assert usages[1].cached_tokens > before - 32  # whole blocks of the prompt and of the answer's own tokens


async def test_kill_9_of_the_engine_loses_nothing_that_was_shown(
    service: RunService, manager: ModelManager, database: Database
) -> None:
    chat_id = new_id()
    created = await service.send(
        OWNER, chat_id, NewMessage(new_id(), None, "Go on."), new_run(seed=3, max_tokens=12_000, logit_bias=LETTERS)
    )
    answer_id, run_id = created.messages[1].id, created.run.id
    tab = Listener(service.follower(OWNER))
    await tab.follower.follow(run_id, 0)
    while not tab.text(run_id):
        await tab.more()
    process_id = manager.status(manager.default).process_id
    assert process_id is not None
    os.kill(process_id, signal.SIGKILL)
    await tab.until_end(run_id)
    async with database.read(OWNER) as scope:
        kept = await messages.get(scope, answer_id)
    assert kept.status == "failed"
    assert kept.error is not None
    assert kept.error.code == "engine_crashed"
    assert kept.text == tab.text(run_id)

    carried = await service.carry_on(OWNER, chat_id, answer_id, new_id(), parameters={})
    await end(service, carried.run.id)
    async with database.read(OWNER) as scope:
        whole = await messages.get(scope, answer_id)
    assert whole.status == "complete", whole.error
    assert whole.text.startswith(kept.text)
    assert manager.status(manager.default).process_id != process_id
