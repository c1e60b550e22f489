"""`kill -9`, lost connections and refusals: nothing that was shown or typed is lost, and the page goes on."""

from __future__ import annotations

import uuid

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import MynaServer, ScriptedServer
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


def test_an_answer_lost_on_the_way_is_not_sent_twice(visit, scripted: ScriptedServer) -> None:
    visiting = visit(scripted)
    visiting.watch.expected = UNREACHABLE
    attempts: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        attempts.append(route.request.post_data or "")
        if len(attempts) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

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
    assert len(scripted.get(f"/api/chats/{chat_id(page)}")["messages"]) == 2


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


class Held:
    """The requests for a path: while it is closed, none is answered."""

    def __init__(self, page: Page, path: str) -> None:
        self.closed = True
        self._routes: list[Route] = []
        page.route(f"**{path}", self._take)

    def release(self) -> None:
        """Let the latest go, and all that come."""
        self.closed = False
        if self._routes:  # else it is still to come
            self._routes.pop().continue_()

    def _take(self, route: Route) -> None:
        if self.closed:
            self._routes.append(route)
        else:
            route.continue_()


def send_early(page: Page, text: str) -> None:
    """Into a chat that is still on its way."""
    expect(page.get_by_role("status", name="Loading the conversation")).to_be_attached()
    composer(page).fill(text)
    composer(page).press("Enter")
    expect(composer(page)).to_have_value("")
    composer(page).press("Enter")
    expect(page.get_by_role("main").get_by_text(text, exact=True)).to_be_visible()


def test_what_is_sent_while_its_chat_loads_goes_there_once(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    ask(page, "#say one")
    slow = chat_id(page)
    page.get_by_role("link", name="New chat").click()
    ask(page, "#say other")
    loading = Held(page, f"/api/chats/{slow}")
    page.locator(f"aside [data-chat='{slow}'] a").click()
    send_early(page, "said early")
    # Who moves on has sent it all the same, and nowhere else.
    page.go_back()
    expect(answers(page).last).to_contain_text("other")
    with page.expect_response(f"**/api/chats/{slow}/messages") as sent:
        loading.release()
    assert sent.value.status == 201
    expect(questions(page)).to_have_count(1)
    page.go_forward()
    expect(answers(page).last).to_contain_text("You said: said early")
    # Nor is it lost with the page.
    loading.closed = True
    page.reload()
    send_early(page, "said before the reload")
    loading.closed = False
    page.reload()
    expect(answers(page).last).to_contain_text("You said: said before the reload")
    page.reload()
    expect(answers(page)).to_have_count(3)
    expect(questions(page)).to_have_count(3)


def test_what_was_sent_to_a_chat_that_is_gone_is_given_back(visit, scripted: ScriptedServer) -> None:
    visiting = visit(scripted)
    visiting.watch.expected = ("404",)
    page = visiting.page()
    expect(composer(page)).to_be_focused()
    gone = uuid.uuid4()
    page.evaluate(f"history.pushState(null, '', '/chat/{gone}')")
    loading = Held(page, f"/api/chats/{gone}")
    page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    send_early(page, "for a chat that is gone")
    loading.release()
    expect(page.get_by_role("alert")).to_contain_text("no chat")
    expect(composer(page)).to_have_value("for a chat that is gone")


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
