"""`kill -9`, lost connections and refusals: nothing that was shown or typed is lost, and the page goes on."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import MynaServer
from tests.browser.doing import (
    LONG,
    SHORT,
    SUM,
    answers,
    ask,
    chat_id,
    composer,
    questions,
    send,
    wait_for_words,
    wait_until_done,
    words,
)

UNREACHABLE = ("ERR_CONNECTION", "ERR_INTERNET_DISCONNECTED", "WebSocket", "Failed to load resource")
BANNER = "Reconnecting"


def continue_answer(page: Page, shown: str) -> None:
    """The interrupted answer goes on where it was, in place."""
    page.get_by_role("button", name="Continue").click()
    wait_for_words(page, len(shown) + 10)
    assert words(page).startswith(shown)
    composer(page).press("Escape")
    wait_until_done(page)
    expect(answers(page)).to_have_count(1)


def test_killing_the_server_loses_nothing_that_was_shown(visit, own_server: MynaServer) -> None:
    visiting = visit(own_server)
    visiting.watch.expected = UNREACHABLE
    page = visiting.page()
    send(page, LONG)
    wait_for_words(page, 60)
    own_server.kill()
    expect(page.get_by_text(BANNER)).to_be_visible()
    shown = words(page)
    own_server.start()
    expect(page.get_by_text(BANNER)).to_have_count(0)
    expect(answers(page).last).to_contain_text("This answer was interrupted.")
    assert words(page).startswith(shown)
    continue_answer(page, shown)
    page.reload()
    expect(answers(page)).to_have_count(1)
    assert words(page).startswith(shown)


def test_killing_the_engine_ends_the_answer_with_a_way_on(visit, own_server: MynaServer) -> None:
    page = visit(own_server).page()
    send(page, LONG)
    shown = wait_for_words(page, 60)
    own_server.kill_engine()
    expect(answers(page).last.get_by_role("button", name="Continue")).to_be_visible()
    assert words(page).startswith(shown)
    continue_answer(page, shown)


def test_a_message_sent_while_offline_goes_out_once(visit, own_server: MynaServer) -> None:
    visiting = visit(own_server)
    visiting.watch.expected = UNREACHABLE
    page = visiting.page()
    ask(page, SHORT)
    own_server.kill()
    expect(page.get_by_text(BANNER)).to_be_visible()
    send(page, SUM)
    expect(page.get_by_text("Waiting to be sent.")).to_be_visible()
    expect(page.get_by_text("Thinking")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    own_server.start()
    expect(page.get_by_text("Waiting to be sent.")).to_have_count(0)
    wait_for_words(page, 1)
    wait_until_done(page)
    expect(questions(page)).to_have_count(2)
    expect(answers(page)).to_have_count(2)
    page.reload()
    expect(questions(page)).to_have_count(2)


def test_a_message_left_unsent_by_a_closed_page_goes_out_with_the_next(visit, own_server: MynaServer) -> None:
    visiting = visit(own_server)
    visiting.watch.expected = UNREACHABLE
    page = visiting.page()
    ask(page, SHORT)
    own_server.kill()
    send(page, SUM)
    expect(page.get_by_text("Waiting to be sent.")).to_be_visible()
    address = page.url
    page.close()
    own_server.start()
    page = visiting.page(address)
    expect(questions(page)).to_have_count(2)
    wait_for_words(page, 1)
    wait_until_done(page)
    expect(answers(page)).to_have_count(2)


def test_an_answer_lost_on_the_way_is_not_sent_twice(visit, server: MynaServer) -> None:
    visiting = visit(server)
    visiting.watch.expected = UNREACHABLE
    attempts: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        attempts.append(route.request.post_data or "")
        if len(attempts) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    visiting.context.unroute("**/api/chats/*/messages")
    page = visiting.page()
    page.route("**/api/chats/*/messages", lose_the_first_answer)
    with page.expect_response("**/api/chats/*/messages") as second:
        send(page, SHORT)
    assert second.value.status == 200
    assert len(attempts) == 2
    assert attempts[0] == attempts[1]
    wait_until_done(page)
    expect(questions(page)).to_have_count(1)
    expect(answers(page)).to_have_count(1)
    assert len(server.get(f"/api/chats/{chat_id(page)}")["messages"]) == 2


def test_a_refused_message_goes_back_into_the_composer(visit, server: MynaServer) -> None:
    visiting = visit(server)
    visiting.watch.expected = ("400",)
    page = visiting.page()
    refusal = {"error": {"message": "That cannot be.", "type": "invalid_request_error", "param": None, "code": "no"}}
    page.route("**/api/chats/*/messages", lambda route: route.fulfill(status=400, json=refusal))
    send(page, "Keep this.")
    expect(page.get_by_role("alert")).to_contain_text("That cannot be.")
    expect(composer(page)).to_have_value("Keep this.")
    expect(page).to_have_url(f"{server.url}/")
    page.unroute("**/api/chats/*/messages")
    ask(page, SHORT)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_page_opened_without_a_server_says_so_and_recovers(visit, server: MynaServer) -> None:
    visiting = visit(server)
    visiting.watch.expected = UNREACHABLE
    page = visiting.context.new_page()
    page.route("**/api/session", lambda route: route.abort("connectionrefused"))
    page.goto("/")
    expect(page.get_by_role("heading", name="Myna is not answering")).to_be_visible()
    page.unroute("**/api/session")
    page.get_by_role("button", name="Try again").click()
    expect(composer(page)).to_be_visible()
