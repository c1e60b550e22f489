"""A real server, a real browser, and pages that notice when something goes wrong in them."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from tests.browser.building import build
from tests.browser.doing import LONG
from tests.processes import environment

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-smooth-scrolling",  # a wheel has done its work when it was turned
]
ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
ANSWER_SECONDS = 120
EXPECT_MS = 120_000
"""How long anything may take before it counts as failed: enough for a machine ten times slower."""
PORTS = range(12_000, 32_000)
"""Below those that systems hand out by themselves: no connection takes one while its server is down."""


def free_port() -> int:
    """One that nobody listens on; each worker of a test run looks among its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = PORTS[worker % 10 :: 10]
    while True:
        port = random.choice(mine)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class MynaServer:
    """`myna serve` as a process of its own, on a port that stays the same when it is started again."""

    module = "myna"

    def __init__(self, data_dir: Path, **more: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = data_dir / "server.log"
        self.data_dir = data_dir
        self._environment = environment(data_dir, **more)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        is_new = not (self.data_dir / "myna.db").exists()
        command = [sys.executable, "-m", self.module, "serve", "--no-browser", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The server did not start:\n{self._log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        if is_new and self.module == "myna":
            # Tests find a chat by what they asked; the model would call it something else at a moment of its own.
            self.ask("PATCH", "/api/admin/options", {"titles": False})

    @property
    def process(self) -> psutil.Process:
        """The server's own process, without its engines."""
        assert self._process
        return psutil.Process(self._process.pid)

    def kill(self) -> None:
        """`kill -9` of the server; its engine is left to notice by itself."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def kill_engine(self) -> None:
        """`kill -9` of every process that the server started."""
        assert self._process
        children = psutil.Process(self._process.pid).children(recursive=True)
        assert children, "no engine is running"
        for child in children:
            child.kill()
        psutil.wait_procs(children)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=ANSWER_SECONDS)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=ANSWER_SECONDS) as response:
            return json.load(response)

    def ask(self, method: str, path: str, body: Any = None) -> None:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method=method)
        urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/healthz", timeout=5):
                return True
        except OSError:  # also while it listens and is too busy to answer
            return False


class ScriptedServer(MynaServer):
    """The same program whose models say what `tests.scripted.script` reads from a message. No engine runs."""

    module = "tests.scripted"

    def __init__(self, data_dir: Path, **more: str) -> None:
        models = {"MYNA_CACHE_DIR": str(data_dir / "models"), "MYNA_MODEL": "scripted:chat"}
        super().__init__(data_dir, **models, **more)


@pytest.fixture(scope="package")
def static() -> Path:
    return build()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Package scope: Playwright keeps an event loop running, which the asynchronous tests elsewhere cannot have.
    expect.set_options(timeout=EXPECT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def server(static: Path, default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MynaServer]:
    """One for all tests: each makes chats of its own."""
    running = MynaServer(tmp_path_factory.mktemp("myna"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_server(static: Path, default_model: Path, tmp_path: Path) -> Iterator[MynaServer]:
    """One that the test may kill, or that nobody else has used."""
    running = MynaServer(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="package")
def scripted(static: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedServer]:
    """One with scripted models for all tests, which make chats of their own."""
    running = ScriptedServer(tmp_path_factory.mktemp("scripted"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_scripted(static: Path, tmp_path: Path) -> Iterator[ScriptedServer]:
    """One with scripted models that the test may kill, or make accounts on."""
    running = ScriptedServer(tmp_path)
    running.start()
    yield running
    running.stop()


class Watch:
    """What went wrong in a page: messages in the console, errors nobody caught, requests to other hosts."""

    def __init__(self, origin: str) -> None:
        self.problems: list[str] = []
        self.expected: tuple[str, ...] = ()
        self._origins = (origin + "/", origin.replace("http", "ws", 1) + "/")

    def attach(self, page: Page) -> None:
        page.on("console", lambda message: message.type in ("error", "warning") and self._note(message.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", lambda request: self._foreign(request.url))
        page.on("websocket", lambda web_socket: self._foreign(web_socket.url))

    def unexpected(self) -> list[str]:
        return [text for text in self.problems if not any(part in text for part in self.expected)]

    def _note(self, text: str) -> None:
        # Playwright sees no request that a service worker has a hand in; only the tests of it have one.
        if text != "Service Worker registration blocked by Playwright":
            self.problems.append(text)

    def _foreign(self, url: str) -> None:
        if not url.startswith((*self._origins, "data:", "blob:")):
            self._note(f"request to another host: {url}")


class Visit:
    """One person's browser: a context whose pages are watched."""

    def __init__(self, context: BrowserContext, watch: Watch, *, scripted: bool) -> None:
        self.context = context
        self.watch = watch
        context.on("page", watch.attach)
        if not scripted:
            context.route("**/api/chats/*/messages", _answer_the_same_each_time)
            context.route("**/api/chats/*/runs", _answer_the_same_each_time)

    def page(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.goto(path)
        return page


def _answer_the_same_each_time(route: Route) -> None:
    """Greedy and not endless: what is asked for goes through the application unchanged but for its sampling."""
    body = route.request.post_data_json
    if "continue" not in body:
        enough = 3000 if body.get("message", {}).get("text") == LONG else 60
        body.get("run", body)["parameters"] = {"temperature": 0, "max_tokens": enough}
    route.continue_(post_data=json.dumps(body))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens visits to a server; at the end of the test nothing may have gone wrong in them."""
    visits: list[Visit] = []

    def open_visit(server: MynaServer, **options: Any) -> Visit:
        context = browser.new_context(
            base_url=server.url, **{"viewport": {"width": 1280, "height": 800}, "service_workers": "block", **options}
        )
        context.set_default_timeout(EXPECT_MS)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        visits.append(Visit(context, Watch(server.url), scripted=isinstance(server, ScriptedServer)))
        return visits[-1]

    yield open_visit
    problems = [problem for each in visits for problem in each.watch.unexpected()]
    for each in visits:
        # A request may be on its way through a route: what becomes of it no longer matters.
        each.context.unroute_all(behavior="ignoreErrors")
        each.context.close()
    assert not problems, "\n".join(problems)
