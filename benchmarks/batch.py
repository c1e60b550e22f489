"""Batches: lines a second and memory of a long one, and what live requests feel beside one.

    python -m benchmarks.batch [--only lines live] [--lines 50000]

`lines` uses a tiny model with random weights, so that what is measured is the server; `live` the real default model.
Prints one line of JSON a section.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx2

from benchmarks.api import tiny
from benchmarks.environments import MODEL
from benchmarks.load import PROMPTS, ask, client
from benchmarks.served import Served, myna
from myna.settings import load_settings

LINES = 50_000
QUESTIONS = 20
BESIDE = 50
"""Lines of a batch that run while live requests are timed."""
LONG_ANSWER = 400
OVER = ("completed", "failed", "expired", "cancelled")


class Batches:
    """A server's batches."""

    def __init__(self, server: Served) -> None:
        self.http = httpx2.Client(base_url=server.base, timeout=120)
        self.model = server.model

    def create(self, lines: int, tokens: int) -> str:
        """A batch of so many completions of so many tokens."""
        body = {"model": self.model, "max_tokens": tokens, "ignore_eos": True, "temperature": 0}
        content = "".join(
            json.dumps(
                {
                    "custom_id": f"line-{number}",
                    "method": "POST",
                    "url": "/v1/completions",
                    "body": body | {"prompt": f"{number}. {PROMPTS[number % len(PROMPTS)]}"},
                }
            )
            + "\n"
            for number in range(lines)
        )
        files = {"file": ("requests.jsonl", content.encode())}
        file = self.http.post("/v1/files", data={"purpose": "batch"}, files=files).raise_for_status().json()["id"]
        wanted = {"input_file_id": file, "endpoint": "/v1/completions", "completion_window": "24h"}
        return str(self.http.post("/v1/batches", json=wanted).raise_for_status().json()["id"])

    def until(self, batch: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The batch once something holds of it."""
        while not holds(shown := self.http.get(f"/v1/batches/{batch}").raise_for_status().json()):
            time.sleep(0.2)
        return dict(shown)


def is_over(batch: dict[str, Any]) -> bool:
    """Whether nothing more happens to a batch."""
    return batch["status"] in OVER


@contextmanager
def peak(server: Served) -> Iterator[Callable[[], int]]:
    """Most resident bytes of the server's own process, without its engine's, since this began."""
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.05):
            most = max(most, server.process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield lambda: most
    finally:
        ended.set()
        watching.join()


def lines(count: int) -> dict[str, float]:
    """A batch of many short requests: how fast, and how much more memory than one of a tenth of its lines."""
    with tiny() as server:
        batches = Batches(server)
        figures: dict[str, float] = {}
        for size, name in ((count // 10, "tenth"), (count, "whole")):
            with peak(server) as most:
                began = time.perf_counter()
                shown = batches.until(batches.create(size, 1), is_over)
                seconds = time.perf_counter() - began
                assert shown["request_counts"] == {"total": size, "completed": size, "failed": 0}, shown
                figures |= {f"{name}_lines_a_second": size / seconds, f"{name}_peak_bytes": most()}
    return figures


async def first_tokens(server: Served, tokens: int = 8) -> list[float]:
    """Seconds to the first token of requests that come one after the other."""
    seconds = []
    async with client(server.base, 1) as http:
        for number in range(QUESTIONS):
            messages = [{"role": "user", "content": f"{number}: {PROMPTS[number % len(PROMPTS)]}"}]
            seconds.append((await ask(http, server.model, messages, tokens)).first)
    return seconds


def live() -> dict[str, float]:
    """Time to the first token, and of a whole answer, with an idle engine and beside a batch that is being answered."""
    figures = {}
    with myna(load_settings().models_dir, MODEL, batch_concurrency=str(BESIDE)) as server:
        asyncio.run(first_tokens(server))
        for name in ("idle", "beside_batch"):
            batches = Batches(server)
            if name != "idle":
                batch = batches.create(BESIDE * 20, LONG_ANSWER)
                batches.until(batch, lambda shown: shown["status"] == "in_progress")
                time.sleep(3)  # until their prompts are read
            for tokens, what in ((8, "first"), (64, "answer")):
                began = time.perf_counter()
                times = asyncio.run(first_tokens(server, tokens))
                figures[f"{name}_{what}_seconds"] = (
                    statistics.median(times) if what == "first" else (time.perf_counter() - began) / QUESTIONS
                )
            figures[f"{name}_first_worst_seconds"] = max(times)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=("lines", "live"), default=["lines", "live"])
    parser.add_argument("--lines", type=int, default=LINES)
    given = parser.parse_args()
    sections: dict[str, Callable[[], dict[str, float]]] = {"lines": partial(lines, given.lines), "live": live}
    for name in given.only:
        print(name, json.dumps(sections[name]()), flush=True)


if __name__ == "__main__":
    main()
