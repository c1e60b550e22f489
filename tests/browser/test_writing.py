"""A long answer that is being written: what stands there is left alone."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import ScriptedServer
from tests.browser.doing import answers, send, wait_until_done

WATCH = """() => {
  window.seen = {removed: 0, added: 0, changed: 0};
  const code = document.querySelector("article:last-of-type pre > code");
  new MutationObserver((records) => {
    for (const record of records) {
      window.seen.removed += record.removedNodes.length;
      window.seen.added += record.addedNodes.length;
      window.seen.changed += record.type === "characterData";
    }
  }).observe(code, {subtree: true, childList: true, characterData: true});
}"""


def line(number: int) -> str:
    return f"line_{number} = {number} * 2  # of a long answer"


class Writer:
    """Goes on with the one answer that a page follows and that its server has stopped writing."""

    def __init__(self, page: Page) -> None:
        self._run, self._seq = "", 0
        page.route_web_socket("**/api/events", self._connect)

    def say(self, text: str) -> None:
        self._tell({"kind": "text", "text": text})

    def end(self) -> None:
        self._tell({"kind": "end", "status": "complete", "usage": None, "error": None})

    def _tell(self, event: dict[str, Any]) -> None:
        self._seq += 1
        self._socket.send(json.dumps({"type": "event", "run": self._run, "seq": self._seq, "event": event}))

    def _connect(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        server = socket.connect_to_server()
        server.on_message(self._pass_on)

    def _pass_on(self, message: str | bytes) -> None:
        frame = json.loads(message)
        if frame["type"] in ("event", "snapshot"):
            self._run, self._seq = frame["run"], frame["seq"]
        self._socket.send(message)


def test_code_that_is_written_grows_at_its_end(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).context.new_page()
    writer = Writer(page)
    page.goto("/")
    send(page, f"#hang #say ```python\n{line(0)}")
    answer = answers(page).last
    expect(answer.locator("code")).to_contain_text(line(0))
    writer.say("".join(f"\n{line(number)}" for number in range(1, 600)))
    expect(answer).to_contain_text(line(599))
    page.evaluate(WATCH)
    before = len(answer.locator("code").inner_text())
    for number in range(600, 800):
        writer.say(f"\n{line(number)}")
    expect(answer).to_contain_text(line(799))
    seen = page.evaluate("window.seen")
    grown = len(answer.locator("code").inner_text()) - before
    assert grown > 2000
    assert seen["changed"] > 10
    assert seen["removed"] == 0, "nothing that stands there is drawn again"
    assert seen["added"] <= grown / 2000, "and what comes is some hundred lines a piece"
    writer.say("".join(f"\n{line(number)}" for number in range(800, 900)) + "\n```")
    writer.end()
    wait_until_done(page)
    expect(answer.locator("code")).to_have_text("\n".join(map(line, range(900))))
    expect(answer.locator(".lines")).to_have_text("900 lines")
