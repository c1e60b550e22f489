"""Pictures of every page, menu and dialog: wide and narrow, light, dark, high contrast, and right to left.

    python -m docs.images.pages FOLDER [PART-OF-A-NAME ...]

Starts servers of its own with scripted models and made-up people; needs Chromium and the application built into the
tree. The places are those that the tests walk (`tests/browser/places.py`).
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, ScriptedServer
from tests.browser.people import ANNA, Owner
from tests.browser.places import PLACES, Place

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
VIEWS = (
    ("wide-light", WIDE, "light", "en-GB"),
    ("wide-dark", WIDE, "dark", "en-GB"),
    ("wide-contrast", WIDE, "contrast", "en-GB"),
    ("narrow-light", NARROW, "light", "en-GB"),
    ("wide-arabic", WIDE, "light", "ar-EG"),
)


def picture(
    browser: Browser, url: str, cookie: str, place: Place, file: Path, view: tuple[str, dict, str, str]
) -> None:
    """One place in one view. What is reached on a wide screen stays open when it is made narrow."""
    _, size, theme, locale = view
    context = browser.new_context(base_url=url, viewport=WIDE, locale=locale, reduced_motion="reduce")
    context.add_init_script(f"localStorage.setItem('myna.theme', '{theme}')")
    if cookie:
        context.add_cookies([{"name": "myna_session", "value": cookie, "url": url}])
    page = context.new_page()
    page.goto(place.path)
    page.locator("h1, article, form").first.wait_for()
    page.wait_for_load_state("networkidle")
    place.reach(page)
    page.set_viewport_size(size)
    page.wait_for_function("document.getAnimations().every(({ playState }) => playState !== 'running')")
    page.screenshot(path=file)
    context.close()


def main(folder: Path, wanted: list[str]) -> None:
    """All places in all views; a place that cannot be reached is named and passed over."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other, sync_playwright() as playwright:
        open_to_all, guarded = ScriptedServer(Path(one)), ScriptedServer(Path(other))
        open_to_all.start()
        guarded.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            owner = Owner(guarded)
            owner.make("Bruno Keller")
            cookie = owner.session_of(ANNA)
            for place in (place for place in PLACES if not wanted or any(part in place.name for part in wanted)):
                name = re.sub(r"\W+", "-", place.name)
                server = open_to_all if place.who == "local" else guarded
                for view in VIEWS:
                    try:
                        file = folder / f"{name}-{view[0]}.png"
                        picture(browser, server.url, cookie if place.who == "owner" else "", place, file, view)
                    except Exception as error:
                        print(f"{place.name}, {view[0]}: {str(error).splitlines()[0]}")
        finally:
            browser.close()
            open_to_all.stop()
            guarded.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
