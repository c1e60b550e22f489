"""A storm of requests on a real server: odd parameters, clients that leave, too little memory for all.

    python -m benchmarks.storm [--requests 10000] [--streams 64] [--seed 0] [--write docs/performance.md]

The model is tiny and its weights are random, so that a request costs what the machinery around the model costs. The KV
cache holds a fraction of what the storm asks for, so sequences are preempted all the time. Afterwards nothing may run,
every block must be free, and the server must answer word for word as before. Exits with 1 otherwise, or when a request
met anything but an answer or a refusal (a status of 400 to 499).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.documents import save_results, write_parts
from benchmarks.load import client
from benchmarks.report import table
from benchmarks.served import Served, myna
from tests.synthetic import write_model

KV_CACHE_BYTES = 1 << 18
CONTEXT = 512
SETTLED_SECONDS = 60
Body = dict[str, Any]

GOOD: dict[str, Sequence[Any]] = {
    "temperature": [0, 0.3, 1, 2],
    "top_p": [0.1, 0.9, 1],
    "top_k": [0, 1, 40],
    "min_p": [0, 0.05, 1],
    "seed": [0, 1, 2**31],
    "presence_penalty": [-2, 0, 2],
    "frequency_penalty": [-2, 0.5],
    "repetition_penalty": [0.5, 1.3],
    "logit_bias": [{"5": 100, "7": -100}, {}],
    "stop": ["e", ["fox", "\n"], []],
    "ignore_eos": [True, False],
    "n": [1, 2, 3],
    "max_tokens": [1, 7, 60, 200],
}
BAD: dict[str, Sequence[Any]] = {
    "temperature": [-1, 1e9, "hot", float("1e400")],
    "top_p": [0, 2, None, []],
    "top_k": [-3, 1.5, 2**70],
    "n": [0, -1, 10**6],
    "seed": ["one", 2**80],
    "stop": [{"a": 1}, [""] * 50],
    "logit_bias": [{"no": 1}, {"999999999": 1}, {"5": 1e9}],
    "max_tokens": [-1, 10**12, "many"],
    "messages": [[], None, "hello", [{"role": "nobody", "content": 1}], [{}]],
    "prompt": [None, {"a": 1}, [-1], [10**9], "word " * 4000],
    "model": ["nothing", 7],
    "unheard_of": [1],
}
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "user",
    "and",
    "assistant",
    "talk",
]


@dataclass(frozen=True)
class Request:
    """``patience`` is how many chunks of a stream, or hundredths of a second of an answer, the client waits for."""

    path: str
    body: Body
    patience: int | None


def draw(random: random.Random, model: str) -> Request:
    """A request that may be right or wrong, from a client that may stay or leave."""
    text = " ".join(random.choices(WORDS, k=random.choice([1, 5, 30, 150])))
    body: Body = {"model": model, "max_tokens": random.randrange(1, 80)}
    if random.random() < 0.5:
        path, body["messages"] = "/v1/chat/completions", [{"role": "user", "content": text}]
    else:
        path, body["prompt"] = "/v1/completions", text
    for name in random.sample(sorted(GOOD), random.randrange(5)):
        body[name] = random.choice(GOOD[name])
    if random.random() < 0.15:
        name = random.choice(sorted(BAD))
        body[name] = random.choice(BAD[name])
    if random.random() < 0.6:
        body["stream"] = True
    return Request(path, body, random.choice([None, None, None, 0, 1, 5, 20]))


async def send(http: httpx2.AsyncClient, request: Request) -> str:
    """What became of it: answered, refused, left, or what should not have been."""
    # Python's own encoder writes Infinity, which is not JSON and has to be refused too.
    content = json.dumps(request.body)
    headers = {"content-type": "application/json"}
    if request.body.get("stream") is not True:
        patience = None if request.patience is None else request.patience / 100
        try:
            response = await asyncio.wait_for(http.post(request.path, content=content, headers=headers), patience)
        except TimeoutError:
            return "left"
        return judge(response.status_code, response.text)
    async with http.stream("POST", request.path, content=content, headers=headers) as response:
        if response.status_code != 200:
            return judge(response.status_code, (await response.aread()).decode())
        count, last = 0, ""
        async for line in response.aiter_lines():
            if count == request.patience:
                return "left"
            count += line.startswith("data: ")
            last = line or last
        return "answered" if last == "data: [DONE]" else f"a stream that ended with {last[:200]}"


def judge(status: int, text: str) -> str:
    """A whole answer or a refusal, by its status and its body."""
    body = json.loads(text)
    if status == 200 and body["choices"]:
        return "answered"
    if 400 <= status < 500 and body["error"]["message"]:
        return "refused"
    return f"status {status}: {text[:200]}"


async def answers(http: httpx2.AsyncClient, model: str) -> list[str]:
    """What the server says to the same questions, which must not depend on what was before."""
    texts = []
    for number in range(4):
        body = {"model": model, "prompt": " ".join(WORDS[number:]), "max_tokens": 60, "seed": number, "temperature": 1}
        response = await http.post("/v1/completions", json=body)
        texts.append(response.raise_for_status().json()["choices"][0]["text"])
    return texts


async def statistics(http: httpx2.AsyncClient) -> dict[str, float]:
    """The engine's figures, without labels."""
    lines = (await http.get("/metrics")).raise_for_status().text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("myna_") and "_bucket" not in line)
    return {name.split("{")[0].removeprefix("myna_"): float(value) for name, value in pairs}


async def settled(http: httpx2.AsyncClient) -> dict[str, float]:
    """The figures once nothing runs or waits, or after a minute whatever they are."""
    end = time.monotonic() + SETTLED_SECONDS
    while True:
        figures = await statistics(http)
        if figures["requests_running"] == figures["requests_waiting"] == 0 or time.monotonic() > end:
            return figures
        await asyncio.sleep(0.1)


async def storm(server: Served, requests: int, streams: int, seed: int) -> dict[str, Any]:
    """All of it, and what was left afterwards."""
    async with client(server.base, streams + 1) as http:
        before = await answers(http, server.model)
        memory = server.resident()
        engines = server.engines()
        gate = asyncio.Semaphore(streams)
        ends: Counter[str] = Counter()

        async def one(number: int) -> None:
            request = draw(random.Random(f"{seed}:{number}"), server.model)
            async with gate:
                try:
                    end = await send(http, request)
                except (httpx2.HTTPError, ValueError, KeyError) as error:
                    end = f"{type(error).__name__}: {error}"
            ends[end] += 1
            if end not in ("answered", "refused", "left"):
                print(number, end, json.dumps(request.body)[:300], file=sys.stderr)

        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(requests)))
        seconds = time.perf_counter() - began
        figures = await settled(http)
        return {
            "requests": requests,
            "streams": streams,
            "seconds": seconds,
            "ends": dict(ends),
            "preemptions": figures["preemptions_total"],
            "blocks": figures["kv_blocks"],
            "blocks_used": figures["kv_blocks_used"],
            "running": figures["requests_running"] + figures["requests_waiting"],
            "same_answers": await answers(http, server.model) == before,
            "same_engine": engines == server.engines(),
            "resident_before": memory,
            "resident_after": server.resident(),
        }


def passed(result: dict[str, Any]) -> bool:
    """Whether everything is as it was."""
    expected = set(result["ends"]) <= {"answered", "refused", "left"}
    left = result["blocks_used"] or result["running"]
    return bool(expected and not left and result["same_answers"] and result["same_engine"])


def report(result: dict[str, Any]) -> str:
    """The storm in words."""
    ends = table(["what became of a request", "how many"], [[end, f"{n:,}"] for end, n in result["ends"].items()])
    free, blocks = result["blocks"] - result["blocks_used"], result["blocks"]
    memory = [f"{result[key] / 1e6:.0f} MB" for key in ("resident_before", "resident_after")]
    return (
        f"{result['requests']:,} requests, {result['streams']} at a time, in {result['seconds']:.0f} s on "
        f"{time.strftime('%Y-%m-%d')}.\n\n{ends}\n\n"
        f"- Preemptions on the way: {result['preemptions']:,.0f}.\n"
        f"- Afterwards {free:.0f} of {blocks:.0f} blocks are free, {result['running']:.0f} requests are left.\n"
        f"- The same answers as before: {'yes' if result['same_answers'] else '**no**'}; "
        f"the same engine process: {'yes' if result['same_engine'] else '**no**'}.\n"
        f"- Resident memory: {memory[0]} before, {memory[1]} after."
    )


def main() -> int:
    """0 when everything is as it was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, nargs="+", default=[], help="documents whose part storm to replace")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "tiny.gguf", context=CONTEXT)
        with myna(Path(folder), str(model), kv_cache_bytes=str(KV_CACHE_BYTES)) as server:
            result = asyncio.run(storm(server, given.requests, given.streams, given.seed))
    save_results("storm", result)
    text = report(result)
    print(text)
    for document in given.write:
        write_parts(document, {"storm": text})
    return int(not passed(result))


if __name__ == "__main__":
    sys.exit(main())
