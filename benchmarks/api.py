"""What the server itself costs, apart from the model: time a token, memory a connection, requests a second.

    python -m benchmarks.api [--only tokens requests idle upload mixed] [--write docs/performance.md]

Each section is a server of its own, cold, in an empty data directory. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
from websockets.asyncio.client import connect

from benchmarks.documents import read_results, save_results, write_parts
from benchmarks.environments import MODEL
from benchmarks.load import client, load
from benchmarks.report import table
from benchmarks.served import KEY, Served, myna
from myna.settings import load_settings
from tests.synthetic import write_model

Figures = dict[str, float]

STREAMS = 16
TOKENS = 256
CONNECTIONS = 1000
SECONDS = 5.0
UPLOAD_BYTES = 100 << 20
MIXED = 200


@contextlib.contextmanager
def tiny(**settings: str) -> Iterator[Served]:
    """A server whose model is tiny, with random weights, so that the model's own work is next to nothing."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "tiny.gguf", context=512)
        with myna(Path(folder), str(model), **settings) as server:
            yield server


def tokens() -> Figures:
    """Processor time of the server's process for each token that it streams, with the real default model."""
    with myna(load_settings().models_dir, MODEL) as server:
        asyncio.run(load(server.base, server.model, STREAMS, STREAMS, 8))
        before = processor_seconds(server.process)
        result = asyncio.run(load(server.base, server.model, STREAMS, STREAMS, TOKENS))
        spent = processor_seconds(server.process) - before
    return {"token_microseconds": spent / (STREAMS * TOKENS + 8) * 1e6, "tokens_a_second": result["tokens_per_second"]}


def requests() -> Figures:
    """``GET /v1/models`` a second, on one core, with and without a key."""
    figures = {}
    for name, settings in (("requests_a_second", {}), ("requests_a_second_with_key", {"api_key": KEY})):
        with tiny(**settings, threads="1") as server:
            cores = sorted(os.sched_getaffinity(0))
            server.process.cpu_affinity(cores[:1])
            asyncio.run(hammer(server.base, 0.5))
            figures[name] = asyncio.run(hammer(server.base, SECONDS))
    return figures


async def hammer(base: str, seconds: float, connections: int = STREAMS) -> float:
    """Requests a second over so many connections that are kept."""
    where = urlsplit(base)
    request = f"GET /v1/models HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    done = 0
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            while time.perf_counter() < end:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(head.decode())
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                await reader.readexactly(int(length.split(b":")[1]))
                done += 1
        finally:
            writer.close()
            await writer.wait_closed()

    began = time.perf_counter()
    ends = await asyncio.gather(*(one() for _ in range(connections)), return_exceptions=True)
    for error in ends:
        if error is not None:
            raise error
    return done / (time.perf_counter() - began)


def idle() -> Figures:
    """More memory for connections on which nothing happens: streams that wait for their turn, and browsers' tabs."""
    with myna(load_settings().models_dir, MODEL, max_sequences="1") as server:
        waiting = asyncio.run(held(server, lambda: waiting_streams(server)))
    with tiny(threads="1") as server:
        tabs = asyncio.run(held(server, lambda: open_tabs(server)))
    return {"streams_bytes": waiting, "tabs_bytes": tabs}


async def held(server: Served, opened: Callable[[], contextlib.AbstractAsyncContextManager[None]]) -> float:
    """Bytes by which the server has grown while these are open."""
    before = server.resident()
    async with opened():
        await asyncio.sleep(2)
        return server.resident() - before


@contextlib.asynccontextmanager
async def waiting_streams(server: Served) -> AsyncIterator[None]:
    """Streams behind one long answer, for which the model has no room beside it."""
    body = {"model": server.model, "messages": [{"role": "user", "content": "Count."}], "stream": True}
    content = json.dumps(body | {"max_tokens": 7000, "ignore_eos": True}).encode()
    where = urlsplit(server.base)
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n".encode()
        + content
    )
    writers = []
    for number in range(CONNECTIONS + 1):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writers.append((reader, writer))
        writer.write(request)
        if number == 0:
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
    async with client(server.base, 1) as http:
        while (await gauge(http, "myna_requests_waiting")) < CONNECTIONS:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.1)
    yield
    for _, writer in writers:
        writer.close()


@contextlib.asynccontextmanager
async def open_tabs(server: Served) -> AsyncIterator[None]:
    """WebSockets that follow the lists of chats."""
    address = server.base.replace("http", "ws", 1) + "/api/events"
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            socket = await stack.enter_async_context(connect(address, origin=server.base))
            await socket.send(json.dumps({"type": "lists", "after": 0}))
        yield


async def gauge(http: httpx2.AsyncClient, name: str) -> float:
    """A figure of the only engine."""
    lines = (await http.get("/metrics")).raise_for_status().text.splitlines()
    return float(next(line.rsplit(" ", 1)[1] for line in lines if line.startswith(f"{name}{{")))


def upload() -> Figures:
    """The most memory that a file of 100 MiB takes on its way in and out again, and how long both take."""
    with tiny(threads="1") as server, Peak(server) as peak:
        began = time.perf_counter()
        head, tail = form(UPLOAD_BYTES)

        def body() -> Iterator[bytes]:
            yield head
            for _ in range(UPLOAD_BYTES >> 20):
                yield bytes(1 << 20)
            yield tail

        length = len(head) + UPLOAD_BYTES + len(tail)
        headers = {"content-type": "multipart/form-data; boundary=myna", "content-length": str(length)}
        answer = httpx2.post(f"{server.base}/v1/files", content=body(), headers=headers, timeout=600)
        stored = answer.raise_for_status().json()
        there = time.perf_counter() - began
        size = 0
        with httpx2.stream("GET", f"{server.base}/v1/files/{stored['id']}/content", timeout=600) as response:
            for piece in response.raise_for_status().iter_bytes():
                size += len(piece)
        if size != UPLOAD_BYTES or stored["bytes"] != UPLOAD_BYTES:
            raise RuntimeError(f"{size} bytes came back, {stored} was stored")
        back = time.perf_counter() - began - there
    return {"upload_bytes": peak.growth, "upload_seconds": there, "download_seconds": back}


def form(size: int) -> tuple[bytes, bytes]:
    """What stands before and after a file's bytes in a form."""
    head = (
        '--myna\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        '--myna\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n'
        f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode(), b"\r\n--myna--\r\n"


class Peak:
    """How much a server grows, looked at a hundred times a second."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.growth = 0
        self._before = server.resident()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> Peak:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.growth = max(self.growth, self.server.resident() - self._before)


def mixed() -> Figures:
    """Many clients at once with all kinds of requests: how many are answered, refused, or neither; memory after."""
    with myna(load_settings().models_dir, MODEL) as server:
        for _ in range(4):  # until the prefix cache holds as much as it ever will
            asyncio.run(crowd(server, MIXED))
        before = server.resident()
        ends = asyncio.run(crowd(server, MIXED)) + asyncio.run(crowd(server, MIXED))
        after = server.resident()
    return {
        "answered": float(ends[200]),
        "refused": float(ends[429]),
        "failed": float(ends.total() - ends[200] - ends[429]),
        "mixed_bytes": after - before,
    }


async def crowd(server: Served, number: int) -> Counter[int]:
    """Statuses of so many requests that are sent at one moment."""
    said = [{"role": "user", "content": "Name a bird."}]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", {"messages": said, "max_tokens": 16}),
        ("/v1/chat/completions", {"messages": said, "max_tokens": 16, "stream": True}),
        ("/v1/completions", {"prompt": "A myna is", "max_tokens": 16}),
        ("/v1/responses", {"input": "Name a bird.", "max_output_tokens": 16}),
        ("/v1/messages", {"messages": said, "max_tokens": 16}),
        ("/api/chat", {"messages": said, "options": {"num_predict": 16}, "stream": False}),
        ("/v1/tokenize", {"prompt": "A myna is a bird."}),
    ]

    async def one(http: httpx2.AsyncClient, index: int) -> int:
        path, body = asked[index % len(asked)]
        response = await http.post(path, json={"model": server.model, **body})
        return response.status_code

    async with client(server.base, number) as http:
        return Counter(await asyncio.gather(*(one(http, index) for index in range(number))))


def processor_seconds(process: psutil.Process) -> float:
    """What a process has used by itself, without its children."""
    times = process.cpu_times()
    return float(times.user + times.system)


SECTIONS: dict[str, Callable[[], Figures]] = {
    "tokens": tokens,
    "requests": requests,
    "idle": idle,
    "upload": upload,
    "mixed": mixed,
}

GOALS: dict[str, tuple[str, str, Callable[[float], bool]]] = {
    "token_microseconds": ("processor time of the server a token, 16 streams", "< 60 µs", lambda value: value < 60),
    "requests_a_second": ("`GET /v1/models` a second on one core", "> 1,500", lambda value: value > 1500),
    "requests_a_second_with_key": ("the same with a key", "> 1,500", lambda value: value > 1500),
    "streams_bytes": ("1,000 streams that wait for their turn, more memory", "< 150 MB", lambda value: value < 150e6),
    "tabs_bytes": ("1,000 tabs that are open, more memory", "< 150 MB", lambda value: value < 150e6),
    "upload_bytes": ("100 MiB uploaded and fetched, more memory at most", "constant", lambda value: value < 30e6),
    "failed": (
        "twice 200 mixed requests at once: neither answered nor refused with 429",
        "0",
        lambda value: value == 0,
    ),
    "mixed_bytes": (
        "after four such rounds: more memory than before",
        "none",
        lambda value: value < 20e6,
    ),
}
"""What is measured, its goal in words, and whether it is met."""


def written(name: str, value: float) -> str:
    """A figure with its unit."""
    if name.endswith("_bytes"):
        return f"{value / 1e6:.0f} MB"
    return f"{value:.1f} µs" if name.endswith("microseconds") else f"{value:,.0f}"


def report(results: Figures) -> str:
    """The goals and what was reached."""
    rows = [
        [what, goal, written(name, results[name]), "met" if met(results[name]) else "**missed**"]
        for name, (what, goal, met) in GOALS.items()
        if name in results
    ]
    more = []
    if "tokens_a_second" in results:
        more.append(f"The 16 streams came at {results['tokens_a_second']:,.0f} tokens a second together.")
    if "upload_seconds" in results:
        more.append(
            f"The upload took {results['upload_seconds']:.1f} s, the way back {results['download_seconds']:.1f} s."
        )
    return "\n\n".join([table(["what", "goal", "measured", ""], rows), " ".join(more)])


def main() -> int:
    """0 when every goal that was measured is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--write", type=Path, nargs="+", default=[], help="documents whose part api to replace")
    given = parser.parse_args()
    results: Figures = read_results("api")
    for section in given.only:
        figures = SECTIONS[section]()
        print(section, json.dumps(figures), flush=True)
        results |= figures
    save_results("api", results)
    text = report(results)
    print(text)
    for document in given.write:
        write_parts(document, {"api": text})
    return int(not all(met(results[name]) for name, (_, _, met) in GOALS.items() if name in results))


if __name__ == "__main__":
    sys.exit(main())
