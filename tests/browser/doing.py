"""What people do in the application, in its own words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Locator, Page, expect

T = TypeVar("T")

LONG = "Tell me a long story about a bird."
SHORT = "Name the capital city of France."
SUM = "What is 2 + 2?"
UNTIL_SECONDS = 120


def until(page: Page, read: Callable[[], T], is_so: Callable[[T], object]) -> T:
    """Read anew until it is so, for what `expect` cannot ask about; gives what was read last. The page goes on."""
    deadline = time.monotonic() + UNTIL_SECONDS
    while not is_so(value := read()):
        assert time.monotonic() < deadline, f"it stays so: {value!r}"
        page.wait_for_timeout(100)
    return value


def composer(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


def send(page: Page, text: str) -> None:
    composer(page).fill(text)
    page.get_by_role("button", name="Send").click()


def answers(page: Page) -> Locator:
    return page.locator("article:has(h2:text-is('Myna'))")


def questions(page: Page) -> Locator:
    return page.locator("article:has(h2:text-is('You'))")


def words(page: Page) -> str:
    """What the last answer says so far."""
    return answers(page).last.locator(".prose").inner_text()


def letters(text: str) -> str:
    """What stays of a text that is being written: no marks, which are shown until they are closed, and no spaces."""
    return "".join(filter(str.isalnum, text))


def wait_for_words(page: Page, at_least: int = 20) -> str:
    """Until the last answer has so many characters; gives what stays of them."""
    page.wait_for_function(
        "least => (document.querySelector('article:last-of-type .prose')?.innerText.length ?? 0) >= least", arg=at_least
    )
    return words(page).split("`")[0]  # a mark that is still open is shown as it is written


def wait_until_done(page: Page) -> None:
    expect(page.get_by_role("region", name="Conversation")).to_have_attribute("aria-busy", "false")
    expect(answers(page).last.get_by_role("button", name="Copy", exact=True)).to_be_attached()


def ask(page: Page, text: str) -> str:
    """Sends and waits for the whole answer."""
    expect(composer(page)).to_be_visible()
    expect(page.get_by_role("status", name="Loading the conversation")).to_have_count(0)
    before = page.evaluate("Number(document.querySelector('article')?.ariaSetSize ?? 0)")
    send(page, text)
    # Of a long chat only some messages are on the page, but each says which it is.
    expect(answers(page).last).to_have_attribute("aria-posinset", str(before + 2))
    wait_until_done(page)
    return words(page)


def copied_by(button: Locator) -> str:
    """What a press of it puts into the clipboard, which all tests of a browser share."""
    page = button.page
    page.evaluate("navigator.clipboard.writeText('')")
    button.click()
    # Not wait_for_function: to that a promise is as good as a true value.
    return until(page, lambda: str(page.evaluate("navigator.clipboard.readText()")), bool)


def chat_id(page: Page) -> str:
    page.wait_for_url("**/chat/*")
    return page.url.rsplit("/", 1)[1]
