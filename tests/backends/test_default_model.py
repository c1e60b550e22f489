"""The real default model in a real engine process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from myna.backends.native import NativeBackend, connect
from myna.backends.process import EngineProcess
from myna.chat import Message, Role
from myna.engine.options import EngineOptions
from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from tests.patience import WAIT_SECONDS


@pytest.fixture
async def backend(default_model: Path) -> AsyncIterator[NativeBackend]:
    async with asyncio.timeout(WAIT_SECONDS):
        backend = await connect(EngineProcess(EngineOptions(name="smollm2:135m", path=str(default_model))))
        yield backend
        await backend.close()


def chat(name: str, *texts: str, **params: Any) -> GenerationRequest:
    """The user's turns and the assistant's, after the system prompt that the catalog recommends."""
    roles: tuple[Role, Role] = ("user", "assistant")
    turns = (Message.of(roles[index % 2], text) for index, text in enumerate(texts))
    messages = (Message.of("system", "You are a helpful AI assistant."), *turns)
    return GenerationRequest(name, SamplingParams(**{"max_tokens": 40, **params}), messages=messages)


async def answer(backend: NativeBackend, request: GenerationRequest) -> tuple[str, Started, Finished]:
    events = [event async for event in backend.generate(request)]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, Delta)), events[0], events[-1]


async def test_it_knows_the_capital_of_france(backend: NativeBackend) -> None:
    text, _, finished = await answer(backend, chat("a", "What is the capital of France?", temperature=0.0))
    assert "Paris" in text
    assert finished.reason == "stop"


async def test_the_same_seed_gives_the_same_text_alone_and_beside_fifteen_others(backend: NativeBackend) -> None:
    def question(name: str, seed: int) -> GenerationRequest:
        return chat(name, "Tell me a story about a bird that talks.", seed=seed, temperature=1.0, ignore_eos=True)

    alone, _, _ = await answer(backend, question("alone", 42))
    together = await asyncio.gather(
        *(answer(backend, question(f"r{index}", 42 if index == 9 else index)) for index in range(16))
    )
    assert together[9][0] == alone
    assert len({text for text, _, _ in together}) == 16


async def test_the_next_turn_of_a_chat_hits_the_prefix_cache(backend: NativeBackend) -> None:
    first = "What is the capital of France?"
    text, started, _ = await answer(backend, chat("a", first, temperature=0.0))
    assert started.cached_tokens == 0
    _, again, _ = await answer(backend, chat("b", first, text, "And of Italy?", temperature=0.0))
    assert again.cached_tokens >= started.prompt_tokens // 16 * 16
