"""The installed application: what it needs, what it shows without the server, what it forgets, how it is renewed."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from myna.server.web import STATIC
from tests.browser.conftest import MynaServer, ScriptedServer, Visit
from tests.browser.doing import answers, ask, chat_id, composer, questions, send, until, wait_until_done
from tests.browser.people import ANNA, NOT_SIGNED_IN, Owner, choose, fill_in, sign_in, signed_out

UNREACHABLE = "net::ERR"
PRIVATE = "The magpie keeps a secret"
KEPT_CHATS = """async (add) => {
  const database = await new Promise((resolve) => {
    const opening = indexedDB.open("myna");
    opening.onsuccess = () => resolve(opening.result);
  });
  const store = database.transaction("kept", "readwrite").objectStore("kept");
  for (let at = 0; at < add; at += 1) store.put({ path: `/api/chats/old-${at}`, user: "local", at, text: "{}" });
  const all = store.getAllKeys();
  const paths = await new Promise((resolve) => (all.onsuccess = () => resolve(all.result)));
  database.close();
  return paths.filter((path) => path.startsWith("/api/chats/"));
}"""
"""The chats that are kept to be read without the server, after adding so many that were opened long ago."""


def installed(page: Page) -> Page:
    """Once its files are kept and the worker has the page."""
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    return page


def left_behind(page: Page) -> dict[str, Any]:
    """All that the browser keeps of the origin."""
    found: dict[str, Any] = page.evaluate(
        """async () => {
          const urls = [];
          for (const name of await caches.keys())
            for (const request of await (await caches.open(name)).keys()) urls.push(new URL(request.url).pathname);
          const entries = [];
          for (const { name } of await indexedDB.databases()) {
            const database = await new Promise((resolve) => {
              const opening = indexedDB.open(name);
              opening.onsuccess = () => resolve(opening.result);
            });
            for (const store of database.objectStoreNames) {
              const all = database.transaction(store).objectStore(store).getAll();
              entries.push(...(await new Promise((resolve) => (all.onsuccess = () => resolve(all.result)))));
            }
            database.close();
          }
          return { urls, entries, storage: Object.keys(localStorage), session: Object.keys(sessionStorage) };
        }"""
    )
    return found


def test_a_browser_offers_to_install_it(visit: Callable[..., Visit], scripted: MynaServer) -> None:
    page = installed(visit(scripted, service_workers="allow").page())
    chrome = page.context.new_cdp_session(page)
    problems = {each["errorId"] for each in chrome.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert problems <= {"in-incognito"}, "the browser of the tests is one that installs nothing"
    manifest = chrome.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert '"display": "standalone"' in manifest["data"]


def test_without_the_server_it_shows_what_was_loaded(visit: Callable[..., Visit], own_scripted: ScriptedServer) -> None:
    visiting = visit(own_scripted, service_workers="allow")
    visiting.watch.expected = (UNREACHABLE, "WebSocket connection", "status of 502")
    page = installed(visiting.page())
    ask(page, "A first chat to keep")
    page.keyboard.press("Control+Shift+o")
    expect(questions(page)).to_have_count(0)
    ask(page, "A second chat to keep")
    page.get_by_role("link", name="A first chat to keep").click()
    expect(answers(page)).to_contain_text("A first chat to keep")
    page.reload()
    expect(answers(page)).to_contain_text("A first chat to keep")
    assert all("/api/" not in url and "/v1" not in url for url in left_behind(page)["urls"])

    assert len(page.evaluate(KEPT_CHATS, 40)) > 40
    page.reload()
    expect(answers(page)).to_contain_text("A first chat to keep")
    until(page, lambda: len(page.evaluate(KEPT_CHATS, 0)), lambda chats: chats == 30)

    page.evaluate(
        """(preset) => fetch("/api/presets", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(preset),
        }).then(() => undefined)""",
        {"id": str(uuid.uuid4()), "name": "Brief", "system_prompt": "Be brief.", "is_default": True},
    )
    own_scripted.kill()
    page.reload()
    expect(answers(page)).to_contain_text("A first chat to keep")
    expect(page.get_by_text("You can read what was loaded lately.")).to_be_visible()
    composer(page).fill("Written without the server")
    page.get_by_role("button", name="Send").click()

    own_scripted.start()
    expect(answers(page)).to_have_count(2)
    wait_until_done(page)
    expect(answers(page).last).to_contain_text("Written without the server")
    expect(page.get_by_text("You can read what was loaded lately.")).to_have_count(0)
    page.keyboard.press("Control+Shift+o")
    expect(questions(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Model settings (changed)")).to_be_visible()
    with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/messages")) as sent:
        ask(page, "What was chosen before counts again")
    assert sent.value.post_data_json["chat"]["system_prompt"] == "Be brief."


def test_without_the_server_it_shows_what_was_written_since(
    visit: Callable[..., Visit], own_scripted: ScriptedServer
) -> None:
    visiting = visit(own_scripted, service_workers="allow")
    visiting.watch.expected = (UNREACHABLE, "WebSocket connection", "status of 502")
    page = installed(visiting.page())
    ask(page, "#say An answer from before")
    ask(page, "#say An answer that goes")
    ask(page, "#say An answer that stays")
    answers(page).nth(1).get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(answers(page)).to_have_count(2)
    path = f"/api/chats/{chat_id(page)}"

    def is_kept(kept: list[dict[str, Any]]) -> bool:
        """The copy of the chat and that of the list that it is in, from the last thing that happened on."""
        texts = {entry["path"]: json.loads(entry["text"]) for entry in kept}
        listed = texts.get("/api/chats?limit=50&project=none", {"chats": []})["chats"]
        now = texts.get(path, {"messages": []})["messages"]
        said = {message["status"] for message in now} == {"complete"} and len(now) == 5
        return said and any(path.endswith(chat["id"]) and chat["title"] for chat in listed)

    until(page, lambda: left_behind(page)["entries"], is_kept)
    own_scripted.kill()
    page.reload()
    expect(page.get_by_text("You can read what was loaded lately.")).to_be_visible()
    expect(answers(page)).to_have_count(2)
    expect(answers(page).first).to_contain_text("An answer from before")
    expect(answers(page).last).to_contain_text("An answer that stays")
    expect(questions(page)).to_have_count(3)
    expect(page.locator("aside").get_by_role("link", name="#say An answer from before")).to_be_visible()


def test_signing_out_leaves_nothing_of_a_person(visit: Callable[..., Visit], own_scripted: ScriptedServer) -> None:
    Owner(own_scripted).make("Bruno Keller")
    visiting = visit(own_scripted, service_workers="allow")
    visiting.watch.expected = (NOT_SIGNED_IN, UNREACHABLE, "WebSocket connection", "status of 502")
    page = visiting.page()
    sign_in(page, ANNA)
    installed(page)
    ask(page, PRIVATE)
    page.reload()
    expect(answers(page)).to_contain_text(PRIVATE)
    until(page, lambda: left_behind(page)["entries"], lambda kept: any(PRIVATE in entry["text"] for entry in kept))

    visiting.context.clear_cookies()  # the session has ended elsewhere, or its user was deleted
    send(page, "Half a thought")
    expect(signed_out(page)).to_be_visible()
    kept = until(page, lambda: left_behind(page), lambda left: left["entries"] == [])
    assert kept["storage"] != [], "what was typed stays for who typed it"
    fill_in(page, ANNA)
    expect(answers(page)).to_have_count(2)
    wait_until_done(page)
    choose(page, "Sign out")
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    left = left_behind(page)
    files = {"/", *(f"/{file.relative_to(STATIC)}" for file in STATIC.rglob("*") if file.is_file())}
    assert set(left["urls"]) <= files
    assert (left["entries"], left["storage"], left["session"]) == ([], [], [])

    sign_in(page, "Bruno Keller")
    expect(composer(page)).to_be_visible()
    until(
        page, lambda: left_behind(page)["entries"], lambda kept: any(entry["path"] == "/api/session" for entry in kept)
    )
    own_scripted.kill()
    page.reload()
    expect(composer(page)).to_be_visible()
    expect(page.get_by_text(PRIVATE)).to_have_count(0)


@pytest.fixture
def upgradable(static: Path, tmp_path: Path) -> Iterator[ScriptedServer]:
    """One whose application is a copy of its own: those of the other tests stay as they are."""
    shutil.copytree(static, tmp_path / "web")
    data = tmp_path / "data"
    data.mkdir()
    running = ScriptedServer(data, SCRIPTED_WEB=str(tmp_path / "web"))
    running.start()
    yield running
    running.stop()


def upgrade(web: Path) -> None:
    """Makes the application another one, as an upgrade does."""
    page, worker = web / "index.html", web / "sw.js"
    page.write_bytes(page.read_bytes().replace(b"/assets/index-", b"/assets/%69ndex-"))
    worker.write_bytes(worker.read_bytes().replace(b'const VERSION = "', b'const VERSION = "newer-'))


def test_an_old_page_is_offered_to_begin_anew(
    visit: Callable[..., Visit], upgradable: ScriptedServer, tmp_path: Path
) -> None:
    page = installed(visit(upgradable, service_workers="allow").page())
    expect(composer(page)).to_be_visible()
    composer(page).fill("In the middle of a word")
    upgrade(tmp_path / "web")
    page.evaluate("navigator.serviceWorker.getRegistration().then((each) => each.update()).then(() => undefined)")
    expect(page.get_by_text("There is a new version of Myna.")).to_be_visible()
    expect(composer(page)).to_be_focused()
    expect(composer(page)).to_have_value("In the middle of a word")
    with page.expect_navigation():
        page.get_by_role("button", name="Reload").click()
    expect(composer(page)).to_have_value("In the middle of a word")
    names = page.evaluate("caches.keys()")
    assert len(names) == 1
    assert "newer" in names[0]
