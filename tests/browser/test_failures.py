"""The store refuses, an account is disabled, two tabs speak at once: nothing is lost, and the person reads why."""

from __future__ import annotations

import json
import re
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import APIResponse, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import ScriptedServer
from tests.browser.doing import (
    answers,
    ask,
    chat_id,
    composer,
    letters,
    questions,
    send,
    until,
    wait_for_words,
    wait_until_done,
    words,
)
from tests.browser.people import NOT_SIGNED_IN, PASSWORD, Owner, sign_in, signed_out

REFUSED = ("status of 5", "ERR_", "WebSocket")
STORY = "Tell me. #paragraphs=8 #rate=60"
BROKEN_OFF = "Tell me. #paragraphs=8 #stall=60"
"""The same, of which only the beginning comes."""


@contextmanager
def database_held(server: ScriptedServer) -> Iterator[None]:
    """Another process writes to the database and does not come to an end."""
    with closing(sqlite3.connect(server.data_dir / "myna.db", timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def disk_full(server: ScriptedServer) -> Iterator[None]:
    """No file of the server's grows any more, as if the disk had no room."""
    size = (server.data_dir / "myna.db-wal").stat().st_size
    before = server.process.rlimit(resource.RLIMIT_FSIZE)
    server.process.rlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    server.process.rlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("trouble", [database_held, disk_full], ids=["database held", "disk full"])
def test_an_answer_outlives_a_store_that_refuses_for_a_while(visit, own_scripted: ScriptedServer, trouble) -> None:
    visiting = visit(own_scripted)
    visiting.watch.expected = REFUSED
    page = visiting.page()
    ask(page, "Good morning.")
    send(page, STORY)
    shown = wait_for_words(page, 40)
    with trouble(own_scripted):
        composer(page).fill("What I typed meanwhile")
        page.wait_for_timeout(6000)
        assert letters(words(page)).startswith(letters(shown))
    wait_until_done(page)
    expect(answers(page).last).to_contain_text("Paragraph 7")
    assert words(page).count("Paragraph") == 8
    expect(composer(page)).to_have_value("What I typed meanwhile")
    page.reload()
    expect(answers(page)).to_have_count(2)
    expect(answers(page).last).to_contain_text("Paragraph 7")
    assert words(page).count("Paragraph") == 8


def test_a_message_that_cannot_be_stored_is_given_back_and_goes_when_there_is_room(
    visit, own_scripted: ScriptedServer
) -> None:
    visiting = visit(own_scripted)
    visiting.watch.expected = REFUSED
    page = visiting.page()
    ask(page, "Good morning.")
    with disk_full(own_scripted):
        send(page, "Keep this. " + "x" * 200_000)
        expect(page.get_by_role("alert")).to_be_visible()
        expect(composer(page)).to_have_value(re.compile(r"^Keep this\."))
    page.get_by_role("button", name="Send").click()
    expect(questions(page)).to_have_count(2)
    wait_until_done(page)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_two_tabs_that_send_at_once_lose_nothing(visit, scripted: ScriptedServer) -> None:
    visiting = visit(scripted)
    first = visiting.page()
    ask(first, "#say One.")
    second = visiting.page(first.url)
    expect(answers(second)).to_have_count(1)
    send(first, "From the first tab #rate=40")
    send(second, "From the second tab #rate=40")
    for page in (first, second):
        wait_until_done(page)
        page.reload()
    path = f"/api/chats/{first.url.rsplit('/', 1)[1]}"
    # Both tabs may show the same branch, and the answer on the other one end a moment later.
    tree = until(
        first,
        lambda: scripted.get(path)["tree"],
        lambda nodes: {node["status"] for node in nodes} == {"complete"},
    )
    assert len(tree) == 6
    ids = ",".join(node["id"] for node in tree)
    texts = {message["parts"][0]["text"] for message in scripted.get(f"{path}/messages?ids={ids}")["messages"]}
    assert {"You said: From the first tab", "You said: From the second tab"} <= texts


def test_an_answer_that_was_long_on_its_way_takes_away_nothing_newer(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).context.new_page()
    sockets: list[WebSocketRoute] = []

    def listen_in(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/api/events", listen_in)
    page.goto("/")
    ask(page, "#say One.")
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    page.route(f"**/api/chats/{chat_id(page)}", hold, times=1)
    # Too much was missed, says the server: the page asks for the chat anew, and the answer is slow to come.
    sockets[-1].send(json.dumps({"type": "reset", "cursor": 0}))
    until(page, lambda: held, bool)
    ask(page, "#say Two.")
    route, response = held[0]
    with page.expect_event("requestfinished", lambda request: request == route.request):
        route.fulfill(response=response)
    ask(page, "#say Three.")
    expect(answers(page).locator(".prose")).to_have_text(["One.", "Two.", "Three."])


@pytest.mark.parametrize("days", [-3, 400], ids=["behind", "ahead"])
def test_a_browser_whose_clock_is_wrong_puts_nothing_out_of_order(visit, own_scripted: ScriptedServer, days) -> None:
    visiting = visit(own_scripted)
    visiting.context.clock.set_fixed_time(datetime.now() + timedelta(days=days))
    page = visiting.page()
    ask(page, "The older chat")
    page.get_by_role("link", name="New chat").click()
    for question in ("The newer chat", "And a second question"):
        ask(page, question)
    answers(page).first.get_by_role("button", name="Answer again").click()
    wait_until_done(page)
    for _ in range(2):
        expect(answers(page)).to_have_count(1)
        expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
        expect(page.get_by_role("navigation", name="Chats").locator("a[href^='/chat/']")).to_have_text(
            ["The newer chat", "The older chat"]
        )
        page.reload()
    answers(page).first.get_by_role("button", name="Previous version").click()
    expect(questions(page)).to_contain_text(["The newer chat", "And a second question"])


def sign_in_at(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    sign_in(page, name)


def test_a_session_that_ends_while_an_answer_comes_keeps_both(visit, own_scripted: ScriptedServer) -> None:
    owner = Owner(own_scripted)
    ben = owner.make("Ben")
    visiting = visit(own_scripted)
    visiting.watch.expected = (NOT_SIGNED_IN, "WebSocket", "status of 403")
    page = visiting.page()
    sign_in_at(page, "Ben")
    send(page, BROKEN_OFF)
    shown = wait_for_words(page, 40)
    composer(page).fill("What I typed meanwhile")
    owner.ask("PATCH", f"/api/users/{ben}", disabled=True)
    expect(signed_out(page)).to_be_visible()
    owner.ask("PATCH", f"/api/users/{ben}", disabled=False)
    signed_out(page).get_by_label("Password", exact=True).fill(PASSWORD)
    signed_out(page).get_by_role("button", name="Sign in").click()
    expect(signed_out(page)).to_have_count(0)
    expect(answers(page).last).to_contain_text("This answer was interrupted.")
    assert letters(words(page)).startswith(letters(shown))
    expect(composer(page)).to_have_value("What I typed meanwhile")
    answers(page).last.get_by_role("button", name="Continue").click()
    expect(answers(page).last).to_contain_text("Paragraph 7")
    wait_until_done(page)
    assert words(page).count("Paragraph") == 8
