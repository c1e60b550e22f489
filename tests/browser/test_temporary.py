"""A chat that leaves no trace: not in the list, not in the browser, and not on the server."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import ScriptedServer
from tests.browser.doing import answers, ask, composer, send, until, wait_for_words, wait_until_done

MARKER = "xyzzy"


def kept(page: Page) -> str:
    """All that the browser keeps of this origin, beyond the tab."""
    return str(
        page.evaluate(
            """async () => {
              const all = [JSON.stringify(localStorage), document.cookie, document.title, location.href];
              for (const { name } of await indexedDB.databases()) {
                const database = await new Promise((resolve) => {
                  const opening = indexedDB.open(name);
                  opening.onsuccess = () => resolve(opening.result);
                });
                for (const store of database.objectStoreNames) {
                  const reading = database.transaction(store).objectStore(store).getAll();
                  await new Promise((resolve) => (reading.onsuccess = resolve));
                  all.push(JSON.stringify(reading.result));
                }
                database.close();
              }
              for (const name of await caches.keys())
                for (const request of await (await caches.open(name)).keys()) all.push(request.url);
              return all.join("\\n");
            }"""
        )
    )


def chats(page: Page) -> list[Any]:
    found: list[Any] = page.evaluate("fetch('/api/chats').then((answer) => answer.json()).then(({ chats }) => chats)")
    return found


def test_a_temporary_chat_leaves_no_trace(visit, scripted: ScriptedServer) -> None:
    visitor = visit(scripted)
    page = visitor.page()
    before = len(chats(page))
    composer(page).fill(f"{MARKER} typed before")
    page.get_by_role("switch", name="Temporary chat").click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    expect(page.get_by_text("It is stored nowhere")).to_be_visible()
    expect(composer(page)).to_have_value(f"{MARKER} typed before")
    assert MARKER not in kept(page)
    assert ask(page, f"#say {MARKER} one") == f"{MARKER} one"
    chat_id = page.evaluate("sessionStorage.getItem('myna.temporary')")
    # A reload in the middle of an answer, with something typed: the answer goes on.
    send(page, f"#rate=20 #say {MARKER} a b c d e f g h i j k l m n o p q r s t")
    wait_for_words(page, 8)
    composer(page).fill(f"{MARKER} typed")
    page.reload()
    expect(answers(page)).to_have_count(2)
    wait_until_done(page)
    expect(answers(page).last).to_contain_text("r s t")
    expect(composer(page)).to_have_value("")
    answers(page).last.get_by_role("button", name="More for this message").click()
    expect(page.get_by_role("menuitem", name="Edit")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Fork")).to_have_count(0)
    page.keyboard.press("Escape")
    # Pages beside the chats are looked at without leaving it.
    page.evaluate("history.pushState(null, '', '/models'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    page.go_back()
    expect(answers(page)).to_have_count(2)

    expect(page).to_have_url(f"{scripted.url}/")
    expect(page).to_have_title(re.compile("^Temporary chat"))
    assert MARKER not in kept(page)
    assert chat_id not in kept(page)
    expect(page.locator(f"aside [data-chat='{chat_id}']")).to_have_count(0)
    assert len(chats(page)) == before
    page.get_by_role("button", name="End this temporary chat").click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    expect(answers(page)).to_have_count(0)
    assert MARKER not in kept(page)
    assert page.evaluate("sessionStorage.getItem('myna.temporary')") is None
    status = f"fetch('/api/chats/{chat_id}').then((answer) => answer.status)"
    visitor.watch.expected = ("404",)
    until(page, lambda: page.evaluate(status), lambda found: found == 404)
    # What follows is kept again.
    ask(page, "#say kept")
    page.wait_for_url("**/chat/*")


def test_a_temporary_chat_that_is_over_is_not_stored_by_the_next_message(visit, own_scripted: ScriptedServer) -> None:
    visitor = visit(own_scripted)
    visitor.watch.expected = ("Failed to load resource", "WebSocket")
    page = visitor.page()
    expect(composer(page)).to_be_focused()
    page.keyboard.press("Control+k")
    palette = page.get_by_role("combobox", name="Command or chat")
    palette.fill("temporary")
    palette.press("Enter")
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    ask(page, f"#say {MARKER}")
    page.clock.install()
    own_scripted.kill()
    own_scripted.start()
    over = page.get_by_role("status").filter(has_text="The temporary chat is over")
    expect(over).to_be_visible()
    page.clock.fast_forward(60_000)  # nobody may have been looking
    expect(over).to_be_visible()
    over.get_by_role("button", name="Dismiss").click()
    expect(over).to_have_count(0)
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert chats(page) == []
