"""A chat of hundreds of messages: it opens at its end, and the page holds what is near."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ScriptedServer
from tests.browser.doing import answers, ask, questions, send, until, wait_until_done
from tests.scripted.long_chat import CHAT, message_id, store

COUNT = 400
SIZE = 4_000_000
AT_FIRST = ("projects", "models", "presets", "licences", "account/preferences")
"""What is asked for around a chat."""


@pytest.fixture(scope="module")
def filled(static: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedServer]:
    """A server with one long chat."""
    directory = tmp_path_factory.mktemp("filled")
    store(directory, COUNT, SIZE)
    running = ScriptedServer(directory)
    running.start()
    yield running
    running.stop()


def drawn(page: Page) -> list[int]:
    """Positions of the messages in the document."""
    positions = page.get_by_role("article").evaluate_all("all => all.map((one) => Number(one.ariaPosInSet))")
    return [int(position) for position in positions]


def wait_for_text_at_top(page: Page) -> None:
    """Until the first message in sight says something."""
    page.wait_for_function(
        """() => {
          const region = document.querySelector("section[aria-busy]").getBoundingClientRect();
          const seen = [...document.querySelectorAll("article")]
            .find((one) => one.getBoundingClientRect().bottom > region.top + 60);
          return seen?.querySelector(".prose, .bubble")?.innerText;
        }"""
    )


def expect_drawn_to_end(page: Page, count: int) -> None:
    """The last message is there, and of all others only those that are near."""
    expect(page.get_by_role("feed").get_by_role("article").last).to_have_attribute("aria-posinset", str(count))
    until(page, lambda: len(drawn(page)), lambda here: here < 15)


def test_a_long_chat_opens_at_its_end_with_little_and_scrolls_to_its_beginning(visit, filled: ScriptedServer) -> None:
    page = visit(filled).context.new_page()
    sizes: list[int] = []
    page.on("response", lambda response: "/api/chats/" in response.url and sizes.append(len(response.body())))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split("/", 3)[3]))
    page.goto(f"/chat/{CHAT}")
    expect(answers(page).last).to_contain_text(f"Message {COUNT - 1} of generated text")
    for each in AT_FIRST:
        until(page, lambda each=each: asked.count(f"api/{each}"), lambda times: times > 0)
    for each in AT_FIRST:
        assert asked.count(f"api/{each}") == 1, f"{each}: asked for once as the page begins"
    assert asked.count("api/session") == asked.count(f"api/chats/{CHAT}") == 1
    assert asked.index(f"api/chats/{CHAT}") < asked.index("api/projects"), "what is around the chat waits for it"
    assert sum(sizes) < 600_000, "the tree and some texts, not 4 MB"
    expect_drawn_to_end(page, COUNT)
    expect(page.get_by_role("feed").get_by_role("article").last).to_have_attribute("aria-setsize", str(COUNT))

    region = page.get_by_role("region", name="Conversation")
    region.focus()
    page.keyboard.press("Home")
    expect(questions(page).first).to_contain_text("Message 0 of generated text")
    page.keyboard.press("End")
    expect(answers(page).last).to_contain_text(f"Message {COUNT - 1} of generated text")
    page.keyboard.press("Home")
    expect(questions(page).first).to_contain_text("Message 0 of generated text")
    until(page, lambda: drawn(page), lambda here: here[0] == 1 and len(here) < 15)
    page.mouse.move(600, 400)
    for _ in range(10):
        page.mouse.wheel(0, 300)
        wait_for_text_at_top(page)
    page.get_by_role("button", name="Jump to the latest").click()
    expect(answers(page).last).to_contain_text(f"Message {COUNT - 1} of generated text")
    expect_drawn_to_end(page, COUNT)


def test_an_address_with_a_message_opens_there_and_keys_go_on(visit, filled: ScriptedServer) -> None:
    page = visit(filled).page(f"/chat/{CHAT}#{message_id(200)}")
    marked = page.locator("article.marked")
    expect(marked).to_contain_text("Message 200 of generated text")
    expect(marked).to_be_focused()
    expect(marked).to_be_in_viewport()
    expect(marked).to_have_attribute("aria-posinset", "201")
    for _ in range(4):
        page.keyboard.press("PageDown")
    expect(marked).not_to_be_in_viewport()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("article:focus")).to_contain_text("Message 201 of generated text")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("article:focus")).to_contain_text("Message 200 of generated text")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("article:focus")).to_contain_text("Message 199 of generated text")
    expect(page.locator("article:focus")).to_be_in_viewport()


def test_a_text_that_does_not_come_says_so_and_comes_when_asked_again(visit, filled: ScriptedServer) -> None:
    visiting = visit(filled)
    visiting.watch.expected = ("503", "Failed to load resource")
    page = visiting.page(f"/chat/{CHAT}")
    expect(answers(page).last).to_contain_text(f"Message {COUNT - 1}")
    page.route("**/messages?ids=*", lambda route: route.fulfill(status=503, json={}))
    page.get_by_role("region", name="Conversation").focus()
    page.keyboard.press("Home")
    expect(questions(page).first).to_have_attribute("aria-posinset", "1")
    expect(questions(page).first).to_contain_text("This message could not be loaded.")
    page.unroute("**/messages?ids=*")
    page.get_by_role("button", name="Try again").first.click()
    expect(questions(page).first).to_contain_text("Message 0 of generated text")


def test_a_long_text_is_drawn_in_slices_and_to_its_end(visit, filled: ScriptedServer) -> None:
    visiting = visit(filled)
    visiting.context.add_init_script(
        """let drawn = 0;
        window.slices = [];
        const count = () => {
          const now = document.querySelectorAll("article .block.due").length;
          if (now !== drawn) window.slices.push((drawn = now));
          requestAnimationFrame(count);
        };
        requestAnimationFrame(count);"""
    )
    page = visiting.page(f"/chat/{CHAT}#{message_id(9)}")
    expect(page.locator("article.marked")).to_contain_text("Message 9 of generated text")
    undrawn = page.locator(".block:not(.due)")
    expect(undrawn).to_have_count(0)
    page.get_by_role("button", name="Jump to the latest").click()
    expect(answers(page).last).to_contain_text(f"Message {COUNT - 1} of generated text")
    expect(undrawn).to_have_count(0)
    expect(page.locator("article .block:empty")).to_have_count(0)
    assert len(page.evaluate("window.slices")) > 3


def test_a_message_in_a_long_chat_is_answered_at_its_end(visit, filled: ScriptedServer) -> None:
    page = visit(filled).page(f"/chat/{CHAT}")
    expect(answers(page).last).to_contain_text(f"Message {COUNT - 1} of generated text")
    page.get_by_role("region", name="Conversation").focus()
    page.keyboard.press("Home")
    expect(questions(page).first).to_contain_text("Message 0")
    send(page, "And then? #say The end.")
    expect(answers(page).last).to_contain_text("The end.")
    wait_until_done(page)
    expect_drawn_to_end(page, COUNT + 2)
    note = page.get_by_role("note").filter(has_text="were left out of this answer")
    expect(note).to_contain_text("8,192 tokens")
    assert ask(page, "Really?") == "You said: Really?"
