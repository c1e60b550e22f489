"""An answer's tokens, scored by a real engine process, and what is made of messages that no model wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from myna.backends.base import GenerationRequest
from myna.backends.manager import ModelManager
from myna.chat import TextPart
from myna.engine.request import Delta, SamplingParams, TokenLogprob
from myna.errors import Conflict, InvalidParameter
from myna.runs import scoring
from myna.runs.service import NewMessage, RunService
from myna.settings import Settings
from myna.store import messages
from myna.store.database import Database
from myna.store.records import Message
from tests.runs.conversation import OWNER, new_id, new_run
from tests.synthetic import write_model


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[ModelManager]:
    model = write_model(tmp_path / "tiny.gguf", context=4096)
    manager = ModelManager(Settings(data_dir=tmp_path / "engine", model=str(model)))
    yield manager
    await manager.close()


@pytest.fixture
async def answered(database: Database, manager: ModelManager) -> AsyncIterator[tuple[Message, list[TokenLogprob]]]:
    """A second answer of a chat, and the log-probabilities that the model had while it wrote the same."""
    service = RunService(database, manager)
    await service.start()
    chat_id, parent = new_id(), None
    for text in ("Tell me about birds.", "And?"):
        run = new_run(seed=1, max_tokens=150, temperature=1.0, top_p=1.0)
        created = await service.send(OWNER, chat_id, NewMessage(new_id(), parent, text), run)
        if (log := service.live(OWNER, created.run.id)) is not None:
            await log.ended.wait()
        parent = created.messages[1].id
    assert parent is not None
    async with database.read(OWNER) as scope:
        answer = await messages.get(scope, parent)
        turns = await scoring.turns_above(scope, answer, manager.default)
    backend = await manager.get()
    params = SamplingParams(seed=1, max_tokens=150, temperature=1.0, logprobs=3)
    request = GenerationRequest("again", params, messages=turns, owner="another")
    written = [
        entry async for event in backend.generate(request) if isinstance(event, Delta) for entry in event.logprobs or ()
    ]
    yield answer, written
    await service.close()


async def test_the_figures_are_those_of_generation_to_the_last_bit(
    database: Database, manager: ModelManager, answered: tuple[Message, list[TokenLogprob]]
) -> None:
    answer, written = answered
    backend = await manager.get()
    async with database.read(OWNER) as scope:
        turns = await scoring.turns_above(scope, answer, manager.default)
    assert [turn.role for turn in turns][-3:] == ["user", "assistant", "user"]
    found: list[TokenLogprob] = []
    while len(found) < len(written):
        scores = await scoring.score(backend, turns, answer, first=len(found), count=64, top=3)
        assert (scores.total, scores.first) == (len(written), len(found))
        assert scores.generated
        assert scores.unchanged
        found += scores.tokens
    assert found == written
    changed = await scoring.score(backend, turns[:-1], answer, first=0, count=1, top=0)
    assert changed.unchanged is False


async def test_what_no_model_wrote_is_tokenised(
    database: Database, manager: ModelManager, answered: tuple[Message, list[TokenLogprob]]
) -> None:
    answer, _ = answered
    backend = await manager.get()
    async with database.read(OWNER) as scope:
        turns = await scoring.turns_above(scope, answer, manager.default)
    edited = replace(answer, parts=(TextPart("A myna talks."), TextPart(" Really.", (1, 2), "another vocabulary")))
    scores = await scoring.score(backend, turns, edited, first=0, count=100, top=0)
    assert not scores.generated
    assert scores.unchanged is None
    assert b"".join(entry.token for entry in scores.tokens).decode().strip() == "A myna talks. Really."
    with pytest.raises(InvalidParameter, match="first is 90; this answer has"):
        await scoring.score(backend, turns, edited, first=90, count=1, top=0)
    with pytest.raises(InvalidParameter, match="has 0 tokens"):
        await scoring.score(backend, turns, replace(answer, parts=()), first=0, count=1, top=0)
    with pytest.raises(Conflict, match="still being written"):
        await scoring.score(backend, turns, replace(answer, status="running"), first=0, count=1, top=0)
