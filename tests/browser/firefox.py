"""Firefox by WebDriver BiDi, which it speaks itself: neither a driver program nor a build of its own is needed."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

START_SECONDS = 120
WAIT_SECONDS = 120

QUIET = """
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("browser.safebrowsing.downloads.remote.enabled", false);
user_pref("intl.accept_languages", "en-GB, en");
"""


def find() -> str | None:
    """The program, if there is one; ``MYNA_FIREFOX`` names one that is not on the path."""
    return os.environ.get("MYNA_FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """One window. ``problems`` are the errors that its pages have written to the console."""

    def __init__(self, program: str, profile: Path) -> None:
        profile.mkdir()
        (profile / "user.js").write_text(QUIET, encoding="utf-8")
        self._log = profile / "firefox.log"
        command = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.problems: list[str] = []
        self._ids = itertools.count()
        self._open = ExitStack()
        self._open.callback(self._end)
        self._socket = self._open.enter_context(connect(f"{self._address()}/session", max_size=None))
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._window = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def close(self) -> None:
        """End the process."""
        self._open.close()

    def open(self, url: str) -> None:
        """Until the page is loaded."""
        self._ask("browsingContext.navigate", context=self._window, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """A value of JSON's; what throws in the page throws here."""
        said = self._ask(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self._window},
            awaitPromise=True,
        )
        if said["type"] == "exception":
            raise AssertionError(said["exceptionDetails"]["text"])
        return json.loads(said["result"].get("value", "null"))

    def until(self, expression: str) -> Any:
        """Ask until it is true; gives what it is then."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}"
        return value

    def type(self, *keys: str) -> None:
        """Press keys where the focus is, one after another."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask(
            "input.performActions", context=self._window, actions=[{"type": "key", "id": "k", "actions": actions}]
        )

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=WAIT_SECONDS)

    def _address(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"BiDi listening on (ws://\S+)", self._log.read_text(errors="replace"))):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise AssertionError(f"Firefox did not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(0.05)
        return found[1]

    def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.recv(timeout=WAIT_SECONDS))
            if said["type"] == "event" and said["params"].get("level") == "error":
                self.problems.append(said["params"]["text"])
            if said.get("id") == number:
                assert said["type"] == "success", said.get("message")
                return said["result"]
