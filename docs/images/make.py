"""Makes the README's picture: a real conversation with the default model, in a real browser.

    python docs/images/make.py http://127.0.0.1:8642

Needs a running `myna serve --no-browser` with an empty data directory, and Chromium.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

QUESTIONS = ("What is the capital of France?", "Show me a Python function that reads a file, with an example.")


def main(base: str) -> None:
    """Ask, wait for the answers, and take the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(base)
        for question in QUESTIONS:
            page.get_by_role("textbox").fill(question)
            page.keyboard.press("Enter")
            expect(page.get_by_role("button", name="Stop")).to_have_count(1)
            expect(page.get_by_role("button", name="Stop")).to_have_count(0, timeout=120_000)
        expect(page).to_have_url(re.compile("/chat/"))
        page.screenshot(path=Path(__file__).with_name("conversation.png"))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
