"""Many at once: every request is finished or refused with 429, and afterwards nothing is held that was not before."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import WAIT_SECONDS
from tests.processes import Server, environment, serving
from tests.synthetic import write_model

MANY = 200
HI = [{"role": "user", "content": "Hello"}]
LEFT_BEHIND_BYTES = 24 << 20
"""More memory than before that may be the allocator's; an answer that is kept takes a hundredth of it."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with room for long answers."""
    return write_model(tmp_path_factory.mktemp("storm") / "tiny.gguf", context=512)


@pytest.fixture(scope="module")
def busy(model: Path) -> Iterator[Server]:
    """A server whose user may ask for as much as he likes."""
    with serving("--no-browser", env=environment(model.parent / "data", MYNA_MODEL=str(model))) as server:
        yield server


@pytest.fixture
def strict(model: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that most of a storm is too much for."""
    env = environment(tmp_path, MYNA_MODEL=str(model), MYNA_REQUESTS_PER_MINUTE=str(MANY // 10))
    with serving("--no-browser", env=env) as server:
        yield server


async def ask(client: httpx2.AsyncClient, number: int) -> str:
    """One of several kinds of requests; how it ended."""
    common: dict[str, Any] = {"model": "default", "max_tokens": 24, "ignore_eos": True, "seed": number}
    match number % 6:
        case 0:
            answer = await client.post("/v1/chat/completions", json=common | {"messages": HI})
        case 1:
            answer = await client.post("/v1/completions", json=common | {"prompt": "Hello", "n": 3})
        case 2:
            answer = await client.post("/v1/messages", json={"model": "default", "max_tokens": 24, "messages": HI})
        case 3:
            answer = await client.post("/v1/tokenize", json={"model": "default", "prompt": "Hello"})
        case 4:
            body = common | {"messages": HI, "stream": True}
            async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                lines = [line async for line in answer.aiter_lines() if line]
            if answer.status_code == 200:
                assert lines[-1] == "data: [DONE]"
        case _:
            body = common | {"messages": HI, "stream": True, "max_tokens": 400}
            async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                async for line in answer.aiter_lines():
                    if answer.status_code == 200 and "content" in line:
                        return "left"
    if answer.status_code == 429:
        assert int(answer.headers["retry-after"]) >= 1
        return "refused"
    assert answer.status_code == 200, answer.text
    return "finished"


async def storm(server: Server) -> Counter[str]:
    limits = httpx2.Limits(max_connections=MANY)
    async with httpx2.AsyncClient(base_url=server.url, timeout=WAIT_SECONDS, limits=limits) as client:
        numbers = random.Random(5).sample(range(MANY), MANY)
        return Counter(await asyncio.gather(*(ask(client, number) for number in numbers)))


async def figures(server: Server) -> dict[str, float]:
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS) as client:
        text = (await client.get(f"{server.url}/metrics")).text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


async def rest(server: Server) -> int:
    """Wait until nothing runs; the memory that the server and its engine have then, in bytes."""
    async with asyncio.timeout(WAIT_SECONDS):
        now = await figures(server)
        while (
            any(now[f"myna_{name}"] for name in ("requests_running", "requests_waiting", "kv_blocks_used"))
            or now["myna_http_requests_running"] > 1  # beside the one that asks
        ):
            now = await figures(server)
    return sum(psutil.Process(process.pid).memory_info().rss for process in server.processes)


async def test_many_at_once_finish_and_leave_nothing_behind(busy: Server) -> None:
    for _ in range(2):  # what is made once, such as connections and the prefix cache
        await storm(busy)
    before = await rest(busy)
    for _ in range(2):
        ended = await storm(busy)
        assert ended["finished"] + ended["left"] == MANY
        assert ended["left"] > MANY // 10
    assert await rest(busy) < before + LEFT_BEHIND_BYTES


async def test_what_is_too_much_is_refused_and_told_when_to_come_again(strict: Server) -> None:
    ended = await storm(strict)
    assert ended["refused"] > MANY // 2
    assert ended.total() == MANY


def test_they_left_nothing_in_the_log(busy: Server) -> None:
    assert "Traceback" not in "".join(busy.said)
