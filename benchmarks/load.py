"""Load on an OpenAI-compatible server: what a user would feel at so many streams.

    python -m benchmarks.load http://127.0.0.1:8642 smollm2:135m --streams 16 --requests 32 --tokens 128

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
from typing import Any

import httpx2

PROMPTS = [
    "Explain what a large language model is.",
    "Write a short story about a lighthouse keeper.",
    "Give me tips for learning Python quickly.",
    "What are the causes of the French Revolution?",
    "Describe photosynthesis to a ten year old.",
    "How do I make a good cup of coffee?",
    "Summarise the plot of Romeo and Juliet.",
    "What is the difference between a virus and a bacterium?",
]


@dataclass(frozen=True)
class Answer:
    """Times in seconds from the request's start; tokens as the server counted them."""

    text: str
    first: float
    total: float
    prompt_tokens: int
    cached_tokens: int
    tokens: int


def client(base: str, streams: int) -> httpx2.AsyncClient:
    """So many connections at once, patient."""
    limits = httpx2.Limits(max_connections=streams, max_keepalive_connections=streams)
    return httpx2.AsyncClient(base_url=base, timeout=600, limits=limits)


async def ask(http: httpx2.AsyncClient, model: str, messages: list[dict[str, str]], tokens: int) -> Answer:
    """One streamed chat completion.

    Raises:
        RuntimeError: the server refused or the stream ended without text or a usage block.
    """
    body = {
        "model": model,
        "messages": messages,
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }
    start = time.perf_counter()
    first = None
    usage: dict[str, Any] | None = None
    pieces = []
    async with http.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise RuntimeError(f"{response.status_code}: {(await response.aread())[:300]!r}")
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            piece = chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None
            if piece:
                first = first or time.perf_counter() - start
                pieces.append(piece)
    total = time.perf_counter() - start
    if first is None or usage is None:
        raise RuntimeError("the stream ended without text or usage")
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Answer("".join(pieces), first, total, usage["prompt_tokens"], cached, usage["completion_tokens"])


async def load(base: str, model: str, streams: int, requests: int, tokens: int) -> dict[str, float]:
    """Run `requests` answers, `streams` at a time, after one to warm up."""
    async with client(base, streams) as http:
        await ask(http, model, [{"role": "user", "content": "Hello."}], 8)
        gate = asyncio.Semaphore(streams)

        async def one(index: int) -> Answer:
            async with gate:
                content = f"{PROMPTS[index % len(PROMPTS)]} ({index})"
                return await ask(http, model, [{"role": "user", "content": content}], tokens)

        start = time.perf_counter()
        answers = await asyncio.gather(*(one(index) for index in range(requests)))
        wall = time.perf_counter() - start
    return {
        "streams": streams,
        "prompt_tokens": statistics.median(answer.prompt_tokens for answer in answers),
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
