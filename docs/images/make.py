"""Makes the pictures of real answers: conversations with the default model, in a real browser.

    python docs/images/make.py http://127.0.0.1:8642

Needs a running `myna serve --no-browser` with an empty data directory and Chromium.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

BEFORE = ("Name three birds that live by the sea.", "How long does a soft egg boil?", "What does “bonjour” mean?")
QUESTIONS = ("What is the capital of France?", "Show me a Python function that reads a file, with an example.")


def ask(page: Page, question: str) -> None:
    """Until the answer has ended."""
    page.get_by_role("textbox", name="Message", exact=True).fill(question)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Conversation")).to_have_attribute("aria-busy", "false", timeout=120_000)
    expect(page.get_by_role("button", name="Copy", exact=True).last).to_be_attached(timeout=120_000)


def save(page: Page, name: str) -> None:
    """Beside this file."""
    page.mouse.move(0, 0)
    page.screenshot(path=Path(__file__).with_name(f"{name}.png"))


def main(base: str) -> None:
    """Ask, wait for the answers, and take the pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light", reduced_motion="reduce")
        for question in BEFORE:
            page.goto(base)
            ask(page, question)
        page.goto(base)
        for question in QUESTIONS:
            ask(page, question)
        expect(page).to_have_url(re.compile("/chat/"))
        save(page, "conversation")
        page.goto(base)
        page.get_by_role("link", name="bonjour").first.click()
        page.get_by_role("button", name="Show how likely each token was").click()
        page.get_by_role("listbox").get_by_role("option").nth(2).click()
        expect(page.get_by_role("group", name="Likeliest tokens here")).to_be_visible()
        save(page, "tokens")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
