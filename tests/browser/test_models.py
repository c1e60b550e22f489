"""The model menu: what is here, what can be fetched, how that goes, and how it fails.

Downloads are played by the test: what the page says and asks for is what matters here, and fetching for real is
tested where it happens.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.conftest import MynaServer, Visit
from tests.browser.doing import SHORT, ask


class PlayedHub:
    """A catalog with one more model, whose download goes as far as the test says."""

    def __init__(self, visiting: Visit) -> None:
        self.asked: list[str] = []
        self.model: dict[str, Any] = {
            "name": "parrot:1b",
            "title": "Parrot 1B",
            "description": "Repeats what it hears.",
            "parameters": 1_000_000_000,
            "licence": "apache-2.0",
            "licence_class": "open",
            "context": 8192,
            "bytes": 700_000_000,
            "on_disk": False,
            "loaded": False,
            "licence_title": "Apache License 2.0",
            "licence_url": None,
            "forbids": False,
            "removable": False,
            "state": "absent",
            "load_error": None,
            "running": 0,
            "memory": None,
            "tokens_per_second": None,
            "chats": None,
            "thinks": False,
            "sampling": {"temperature": 0.6, "top_p": 0.9, "max_tokens": 2048, "system_prompt": None},
            "default": False,
            "pull": None,
        }
        self._socket: WebSocketRoute | None = None
        visiting.context.route("**/api/models", self._list)
        visiting.context.route("**/api/models/*/pull", self._pull)
        visiting.context.route("**/api/models/*/pull/cancel", self._cancel)
        visiting.context.route_web_socket("**/api/events", self._connect)

    def progress(self, state: str = "running", done: int = 0, error: str | None = None) -> None:
        self._set_pull(state, done, error)
        self.tell()

    def drop(self) -> None:
        """The connection is lost: the page makes a new one, and asks for the list again."""
        assert self._socket
        self._socket.close()

    def _set_pull(self, state: str, done: int, error: str | None) -> None:
        self.model["pull"] = {
            "state": state,
            "done": done,
            "total": self.model["bytes"],
            "bytes_per_second": 12_000_000,
            "source": "huggingface",
            "error": error,
        }

    def tell(self) -> None:
        assert self._socket
        change = {"kind": "model", "id": self.model["name"], "data": self.model}
        self._socket.send(json.dumps({"type": "change", "cursor": 0, "change": change}))

    def _list(self, route: Route) -> None:
        answer = route.fetch().json()
        route.fulfill(json={**answer, "models": [*answer["models"], self.model]})

    def _pull(self, route: Route) -> None:
        self.asked.append("pull")
        self._set_pull("running", 0, None)
        route.fulfill(status=202, json=self.model)

    def _cancel(self, route: Route) -> None:
        self.asked.append("cancel")
        self.model["pull"] = None
        route.fulfill(json=self.model)

    def _connect(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        server = socket.connect_to_server()
        socket.on_message(server.send)
        server.on_message(socket.send)


@pytest.fixture
def visiting(visit, server: MynaServer) -> Visit:
    return visit(server)


def open_menu(page: Page) -> None:
    page.get_by_role("button", name="SmolLM2").click()
    expect(page.get_by_role("dialog", name="Choose a model")).to_be_visible()


def test_the_menu_says_what_is_here_and_what_can_be_fetched(visiting: Visit) -> None:
    PlayedHub(visiting)
    page = visiting.page()
    open_menu(page)
    menu = page.get_by_role("dialog", name="Choose a model")
    expect(menu.get_by_role("button", pressed=True)).to_contain_text("SmolLM2 135M")
    expect(menu).to_contain_text("98 MB")
    parrot = menu.get_by_role("listitem").filter(has_text="Parrot 1B")
    expect(parrot).to_contain_text("1 B parameters · 700 MB · 8K context · Apache 2.0")
    expect(parrot.get_by_role("button", name="Download · 700 MB: Parrot 1B")).to_be_visible()


def test_of_models_outside_of_the_catalog_it_says_what_is_known(visiting: Visit) -> None:
    hub = PlayedHub(visiting)
    hub.model |= dict.fromkeys(("description", "parameters", "licence", "licence_class", "context"))
    page = visiting.page()
    open_menu(page)
    parrot = page.get_by_role("listitem").filter(has_text="Parrot 1B")
    expect(parrot.locator("small")).to_have_text("700 MB · Licence not known")
    hub.model["bytes"] = None  # a default model of a repository, not fetched yet
    hub.tell()
    expect(parrot.get_by_role("button", name=re.compile("^Download.*: Parrot 1B$"))).to_have_text("Download")


def test_a_download_shows_progress_can_be_cancelled_and_ends_in_a_usable_model(visiting: Visit) -> None:
    hub = PlayedHub(visiting)
    page = visiting.page()
    open_menu(page)
    page.get_by_role("button", name=re.compile("^Download.*: Parrot 1B$")).click()
    hub.progress(done=70_000_000)
    expect(page.get_by_role("progressbar", name="Parrot 1B")).to_have_js_property("value", 70_000_000)
    expect(page.get_by_text("70 MB of 700 MB · 12 MB/s")).to_be_visible()
    page.get_by_role("button", name="Cancel download").click()
    expect(page.get_by_role("button", name=re.compile("^Download.*: Parrot 1B$"))).to_be_visible()
    assert hub.asked == ["pull", "cancel"]

    page.get_by_role("button", name=re.compile("^Download.*: Parrot 1B$")).click()
    hub.progress(done=699_000_000)
    expect(page.get_by_role("progressbar")).to_be_visible()
    hub.model.update(on_disk=True, pull=None)
    hub.tell()
    expect(page.get_by_text("Parrot 1B is ready.")).to_be_visible()
    page.get_by_role("button", name="Parrot 1B").click()
    expect(page.get_by_role("main").get_by_role("button", name="Parrot 1B")).to_be_visible()


def test_a_list_takes_nothing_back_that_was_told_since_it_was_asked_for(visiting: Visit) -> None:
    hub = PlayedHub(visiting)
    page = visiting.page()
    open_menu(page)
    progress = page.get_by_role("progressbar", name="Parrot 1B")

    def answer_late(route: Route) -> None:
        listed = route.fetch().json()
        models = [*listed["models"], dict(hub.model), hub.model | {"name": "finch:1b", "title": "Finch 1B"}]
        hub.progress(done=70_000_000)
        expect(progress).to_be_visible()
        route.fulfill(json={**listed, "models": models})

    page.route("**/api/models", answer_late)
    hub.drop()
    expect(page.get_by_role("button", name=re.compile("^Download.*: Finch 1B$"))).to_be_visible()
    expect(progress).to_have_js_property("value", 70_000_000)


def test_a_failed_download_says_why_and_can_be_tried_again(visiting: Visit) -> None:
    hub = PlayedHub(visiting)
    page = visiting.page()
    open_menu(page)
    page.get_by_role("button", name=re.compile("^Download.*: Parrot 1B$")).click()
    hub.progress("failed", error="Parrot 1B could not be fetched: no network.")
    expect(page.get_by_role("alert")).to_contain_text("no network")
    page.get_by_role("button", name="Try again: Parrot 1B").click()
    hub.progress(done=1)
    expect(page.get_by_role("progressbar")).to_be_visible()


def test_a_chat_keeps_its_model(visiting: Visit) -> None:
    page = visiting.page()
    ask(page, SHORT)
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_role("dialog", name="Answer details")).to_contain_text("SmolLM2 135M")
