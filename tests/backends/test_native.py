"""Real engine processes with a tiny model: answers, cancellations and deaths."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from myna.backends.native import NativeBackend, connect, in_process
from myna.backends.process import EngineProcess
from myna.chat import Message
from myna.engine.messages import Hello, Submit, frame
from myna.engine.options import EngineOptions
from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.errors import EngineCrashed, EngineError, InvalidParameter, ModelFileError, PromptTooLong
from tests.patience import WAIT_SECONDS


@asynccontextmanager
async def opened(path: Path, where: str) -> AsyncIterator[NativeBackend]:
    options = EngineOptions(name="tiny", path=str(path), threads=1, kv_cache_bytes=64 << 20)
    async with in_process(options) if where == "thread" else opened_with(options, where) as backend:
        yield backend


@asynccontextmanager
async def opened_with(options: EngineOptions, transport: str = "unix") -> AsyncIterator[NativeBackend]:
    backend = await connect(EngineProcess(options, transport))
    try:
        yield backend
    finally:
        await backend.close()


@pytest.fixture(params=["unix", "tcp", "thread"])
async def backend(request: pytest.FixtureRequest, endless_model: Path) -> AsyncIterator[NativeBackend]:
    async with asyncio.timeout(WAIT_SECONDS), opened(endless_model, request.param) as backend:
        yield backend


def ask(name: str, text: str = "The quick brown fox", **params: Any) -> GenerationRequest:
    params = {"seed": 5, "max_tokens": 30, "ignore_eos": True} | params
    return GenerationRequest(name, SamplingParams(**params), text=text)


async def answer(backend: NativeBackend, request: GenerationRequest) -> str:
    text, finished = "", None
    async for event in backend.generate(request):
        assert finished is None
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Finished):
            finished = event
    assert finished is not None
    return text


async def collect(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]


async def blocks_used(backend: NativeBackend) -> float:
    return (await backend.statistics())["kv_blocks_used"]


async def test_the_same_seed_gives_the_same_text_alone_and_beside_fifteen_others(backend: NativeBackend) -> None:
    alone = await answer(backend, ask("alone"))
    together = await asyncio.gather(*(answer(backend, ask(f"r{n}", seed=5 if n == 7 else n)) for n in range(16)))
    assert together[7] == alone
    assert len(set(together)) > 1
    assert await blocks_used(backend) == 0


async def test_messages_are_rendered_and_calls_are_answered(backend: NativeBackend) -> None:
    chat = GenerationRequest("a", SamplingParams(max_tokens=3), messages=(Message.of("user", "hello"),))
    events = [event async for event in backend.generate(chat)]
    assert isinstance(events[0], Started)
    assert events[0].prompt_tokens > 10
    ids = await backend.tokenize("The fox <|im_end|>")
    assert await backend.detokenize(ids) == "The fox <|im_end|>", "what looks like a control token is text"
    assert await backend.spell(ids[:2]) == ["The", " fox"]
    prompt = await backend.encode_prompt(chat)
    assert len(prompt) == events[0].prompt_tokens
    assert "<|im_start|>" in await backend.spell(prompt)
    assert (await backend.statistics())["requests_total"] == 1, "a prompt was encoded, not processed"


async def test_mistakes_are_raised_as_what_they_are(backend: NativeBackend) -> None:
    with pytest.raises(InvalidParameter, match="temperature is 9"):
        await answer(backend, ask("a", temperature=9))
    with pytest.raises(PromptTooLong):
        await answer(backend, GenerationRequest("b", SamplingParams(), token_ids=(5,) * 300_000))
    with pytest.raises(InvalidParameter, match="token 100000"):
        await backend.detokenize([100_000])
    assert await answer(backend, ask("c"))


async def test_closing_an_answer_frees_its_blocks(backend: NativeBackend) -> None:
    before = (await backend.statistics())["requests_cancelled_total"]
    async with aclosing(backend.generate(ask("a", max_tokens=None))) as events:
        assert isinstance(await anext(events), Started)
    await answer(backend, ask("a", max_tokens=1))  # waits until the first of this name is over
    counted = await backend.statistics()
    assert counted["requests_cancelled_total"] == before + 1
    assert counted["kv_blocks_used"] == 0


async def test_a_stop_by_name_ends_the_answer_with_what_it_had(backend: NativeBackend) -> None:
    events = []
    async for event in backend.generate(ask("a", max_tokens=None)):
        events.append(event)
        if isinstance(event, Delta):
            await backend.cancel("a")
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reason == "cancelled"


@pytest.mark.parametrize("where", ["unix", "thread"])
async def test_a_broken_model_is_a_typed_error(tmp_path: Path, where: str) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match=r"broken\.gguf"):
        async with opened(path, where):
            pass


async def test_a_killed_process_fails_its_answers_and_says_how(endless_model: Path) -> None:
    async with asyncio.timeout(WAIT_SECONDS), opened(endless_model, "unix") as backend:
        process_id = (await backend.describe()).process_id
        assert process_id is not None
        events = backend.generate(ask("a", max_tokens=None))
        assert isinstance(await anext(events), Started)
        os.kill(process_id, signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="was killed") as caught:
            await collect(events)
        assert "continue" in caught.value.message
        with pytest.raises(EngineCrashed):
            await answer(backend, ask("b"))


async def test_closing_ends_the_process_and_running_answers(endless_model: Path) -> None:
    async with asyncio.timeout(WAIT_SECONDS), opened(endless_model, "unix") as backend:
        process_id = (await backend.describe()).process_id
        assert process_id is not None
        events = backend.generate(ask("a", max_tokens=None))
        await anext(events)
        await backend.close()
        with pytest.raises(EngineError, match="unloaded"):
            await collect(events)
        assert not psutil.pid_exists(process_id)


async def test_a_process_that_cannot_start_is_an_error(endless_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(EngineCrashed, match="could not be started: it ended with exit code 1"):
        async with asyncio.timeout(WAIT_SECONDS), opened(endless_model, "unix"):
            pass


async def test_a_storm_over_a_small_cache_changes_no_text_and_loses_no_block(tiny_model: Path) -> None:
    options = EngineOptions(
        name="tiny", path=str(tiny_model), threads=2, kv_cache_bytes=256 * 16 * 24, max_sequences=8, step_tokens=64
    )
    draw = random.Random(7)

    def one(name: str, kind: int, **params: Any) -> GenerationRequest:
        params = {"max_tokens": 20 + 10 * kind} | params
        return ask(name, "The quick brown fox jumps. " * (kind + 1), seed=kind, **params)

    async with asyncio.timeout(WAIT_SECONDS), opened_with(options) as backend:
        assert (await backend.describe()).kv_cache_tokens == 16 * 24
        alone = [await answer(backend, one(f"alone{kind}", kind)) for kind in range(6)]

        async def part_of_the_storm(index: int) -> None:
            kind, patience = draw.randrange(6), draw.choice([None, None, 0, 3, 12])
            if patience is None:
                assert await answer(backend, one(f"s{index}", kind)) == alone[kind]
                return
            async with aclosing(backend.generate(one(f"s{index}", kind, max_tokens=None))) as events:
                async for _ in events:
                    if patience == 0:
                        break
                    patience -= 1

        await asyncio.gather(*(part_of_the_storm(index) for index in range(80)))
        # Eight answers of 70 tokens take 35 blocks besides those of their prompt: there is no room for all.
        together = await asyncio.gather(*(answer(backend, one(f"long{index}", 5)) for index in range(8)))
        assert set(together) == {alone[5]}
        counted = await backend.statistics()
        assert counted["preemptions_total"] > 0
        assert counted["requests_cancelled_total"] > 0
        assert (counted["kv_blocks_used"], counted["requests_running"], counted["requests_waiting"]) == (0, 0, 0)


async def test_two_clients_share_one_engine_and_one_going_away_cancels_its_own_only(endless_model: Path) -> None:
    process = EngineProcess(EngineOptions(name="tiny", path=str(endless_model), threads=1, kv_cache_bytes=64 << 20))
    async with asyncio.timeout(WAIT_SECONDS):
        staying = await connect(process)
        reader, writer = await asyncio.open_unix_connection(str(process.address()))
        writer.write(frame(Hello(process.secret)))
        await reader.readexactly(4)  # it is told that the model is ready
        writer.write(frame(Submit(ask("same name", max_tokens=None))))
        kept = staying.generate(ask("same name", max_tokens=None))
        await anext(kept)
        writer.close()
        await writer.wait_closed()
        async for event in kept:
            counted = await staying.statistics()
            assert not isinstance(event, Finished), "the other client's end must not end this answer"
            if counted["requests_cancelled_total"] == 1:
                break
        assert counted["requests_running"] == 1
        await kept.aclose()
        await staying.close()


async def test_a_request_beyond_all_measure_is_refused_and_the_engine_goes_on(endless_model: Path) -> None:
    async with asyncio.timeout(WAIT_SECONDS), opened(endless_model, "unix") as backend:
        running = asyncio.create_task(answer(backend, ask("small")))
        with pytest.raises(InvalidParameter, match=r"at most 67,108,864 are possible"):
            await answer(backend, ask("large", "x" * (64 << 20)))
        assert await running
