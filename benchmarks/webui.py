"""Open WebUI as it comes from the package index, without a model and without sign-in: what it takes for the same."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from benchmarks import pages
from tests.scripted.long_chat import text_of

START_SECONDS = 180
OPEN_SECONDS = 120
SETTLE_MS = 5000
"""After its load, until a page has fetched what it needs: this one asks its server again and again, and never rests."""
IDLE_SECONDS = 60


def measure(browser: Browser, environment: Path, count: int, size: int) -> dict[str, Any]:
    """Start it, load its first page, open the long chat, and leave it alone for a minute."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as data:
        settings = {
            "DATA_DIR": data,
            "WEBUI_AUTH": "False",
            "OFFLINE_MODE": "true",
            "HF_HUB_OFFLINE": "1",
            "ENABLE_OLLAMA_API": "false",
            "ENABLE_OPENAI_API": "false",
        }
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(environment / "bin" / "open-webui"), "serve", "--host", "127.0.0.1", "--port", str(port)]
        began = time.perf_counter()
        with (Path(data) / "log").open("wb") as log:
            process = subprocess.Popen(command, env={**inherited, **settings}, stdout=log, stderr=log, cwd=data)
        try:
            _wait(url, process)
            found: dict[str, Any] = {"version": _get(f"{url}/api/version")["version"]}
            found["start_s"] = time.perf_counter() - began
            paints = []
            for _ in range(3):
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()
                page.goto(url)
                page.wait_for_timeout(SETTLE_MS)
                loaded = pages.loaded(page)
                paints.append(loaded["paint_ms"])
                context.close()
            found |= {**loaded, "paint_ms": statistics.median(paints)}
            with contextlib.suppress(PlaywrightTimeout):  # it has no figure then
                found["open_ms"] = _open_long(browser, url, count, size)
            found |= _rest(psutil.Process(process.pid))
            return found
        finally:
            process.terminate()
            process.wait()


def _open_long(browser: Browser, url: str, count: int, size: int) -> float:
    """Milliseconds from asking for the long chat's address until its end is painted."""
    account = {"email": "admin@localhost", "password": "admin"}
    token = _post(f"{url}/api/v1/auths/signin", account, None)["token"]
    ids = [str(uuid.uuid4()) for _ in range(count)]
    messages: dict[str, Any] = {}
    for number, id_ in enumerate(ids):
        asked = number % 2 == 0
        messages[id_] = {
            "id": id_,
            "parentId": ids[number - 1] if number else None,
            "childrenIds": ids[number + 1 : number + 2],
            "role": "user" if asked else "assistant",
            "content": text_of(number, 200 if asked else 2 * size // count - 200),
            "timestamp": 1_700_000_000 + number,
            "done": True,
        }
    history = {"messages": messages, "currentId": ids[-1]}
    chat = {"title": "A long chat", "history": history, "messages": list(messages.values()), "models": []}
    made = _post(f"{url}/api/v1/chats/new", {"chat": chat}, token)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(1000 * OPEN_SECONDS)
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    began = time.perf_counter()
    page.goto(f"{url}/c/{made['id']}")
    page.get_by_text(f"Message {count - 1} of generated text").first.wait_for()
    taken = 1000 * (time.perf_counter() - began)
    context.close()
    return taken


def _rest(process: psutil.Process) -> dict[str, float]:
    before = process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    taken = after.user + after.system - before.user - before.system
    return {"core_percent": 100 * taken / IDLE_SECONDS, "memory_bytes": float(process.memory_info().rss)}


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _get(f"{url}/health")
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def _post(url: str, body: Any, token: str | None) -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)
