"""Load on an OpenAI-compatible server: what a user would feel at so many streams.

    python benchmarks/load.py http://127.0.0.1:8642 smollm2:135m --streams 16 --requests 32 --tokens 128

Every answer has the same length (`ignore_eos`), prompts differ, token counts come from the server's usage block.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass

import httpx2

TOPICS = ["tides", "the violin", "bread", "volcanoes", "chess", "honey bees", "bridges", "the moon"]


@dataclass(frozen=True)
class Answer:
    """Times in seconds from the request's start; tokens as the server counted them."""

    first: float
    total: float
    tokens: int


async def ask(client: httpx2.AsyncClient, model: str, index: int, tokens: int) -> Answer:
    """One streamed chat completion.

    Raises:
        RuntimeError: the server refused or the stream ended without a usage block.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"Question {index}: explain {TOPICS[index % len(TOPICS)]} to me."}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }
    start = time.perf_counter()
    first = None
    usage = None
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise RuntimeError(f"{response.status_code}: {(await response.aread())[:300]!r}")
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            if first is None and chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                first = time.perf_counter() - start
    total = time.perf_counter() - start
    if first is None or usage is None:
        raise RuntimeError("the stream ended without text or usage")
    return Answer(first, total, usage["completion_tokens"])


async def load(base: str, model: str, streams: int, requests: int, tokens: int) -> dict[str, float]:
    """Run `requests` answers, `streams` at a time, after one to warm up."""
    limits = httpx2.Limits(max_connections=streams)
    async with httpx2.AsyncClient(base_url=base, timeout=600, limits=limits) as client:
        await ask(client, model, 0, 8)
        gate = asyncio.Semaphore(streams)

        async def one(index: int) -> Answer:
            async with gate:
                return await ask(client, model, index, tokens)

        start = time.perf_counter()
        answers = await asyncio.gather(*(one(index) for index in range(1, requests + 1)))
        wall = time.perf_counter() - start
    return {
        "streams": streams,
        "tokens_per_second": sum(answer.tokens for answer in answers) / wall,
        "tokens_per_second_each": statistics.median((a.tokens - 1) / (a.total - a.first) for a in answers),
        "first_token_seconds": statistics.median(answer.first for answer in answers),
        "first_token_seconds_worst": max(answer.first for answer in answers),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--requests", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(load(given.base, given.model, given.streams, given.requests, given.tokens))))
