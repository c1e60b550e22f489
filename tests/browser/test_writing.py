"""A long answer that is being written: what stands there is left alone."""

from __future__ import annotations

from playwright.sync_api import expect

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


def test_code_that_is_written_grows_at_its_end(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page("/")
    send(page, "#lines=900 #fast=8000 #rate=400")
    answer = answers(page).last
    expect(answer).to_contain_text("line_600 = 600")
    page.evaluate(WATCH)
    before = len(answer.locator("code").inner_text())
    expect(answer).to_contain_text("line_799 = 799")
    seen = page.evaluate("window.seen")
    grown = len(answer.locator("code").inner_text()) - before
    assert grown > 2000
    assert seen["changed"] > 10
    assert seen["removed"] == 0, "nothing that stands there is drawn again"
    assert seen["added"] <= grown / 2000, "and what comes is some hundred lines a piece"
    wait_until_done(page)
    lines = "\n".join(f"line_{number} = {number} * 2  # of a long answer" for number in range(900))
    expect(answer.locator("code")).to_have_text(lines)
    expect(answer.locator(".lines")).to_have_text("900 lines")
