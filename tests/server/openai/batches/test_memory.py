from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from myna.engine.request import Delta, Finished, GenerationRequest, Started
from tests.server.scripted import MODEL, ScriptedBackend

from .conftest import Batches


class Forgetful(ScriptedBackend):
    """Remembers no request."""

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Started | Delta | Finished]:
        yield Started(request.id, 1, 0, 7)
        yield Delta(request.id, "word", (1,))
        yield Finished(request.id, "stop", 1)


@pytest.fixture
def backend() -> ScriptedBackend:
    return Forgetful()


def line(number: int) -> dict[str, Any]:
    body = {"model": MODEL, "prompt": "Say " * 600, "max_tokens": 1}
    return {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/completions", "body": body}


async def peak(batches: Batches, lines: int) -> int:
    """Most bytes that a batch of so many lines takes at once."""
    file = await batches.upload(line(number) for number in range(lines))
    tracemalloc.start(1)
    try:
        batch = (await batches.create(file, "/v1/completions")).json()["id"]
        shown = await batches.wait(batch)
        assert shown["request_counts"]["completed"] == lines
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_memory_does_not_grow_with_the_lines(batches: Batches) -> None:
    await peak(batches, 20)  # what is made once
    some = await peak(batches, 75)
    many = await peak(batches, 600)
    assert many < some + 700_000, "1.5 MB of requests went through; two blocks are read ahead"
