"""Pictures of every page, menu and dialog: wide and narrow, light, dark, high contrast, and right to left.

    python -m docs.images.pages FOLDER [PART-OF-A-NAME ...]

Starts servers of its own with scripted models and made-up people and chats (`docs/images/sample.py`); needs Chromium
and the application built into the tree. The places are those that the tests walk (`tests/browser/places.py`).
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from docs.images import sample
from myna.store.records import now
from tests.browser.conftest import CHROMIUM, FLAGS, ScriptedServer
from tests.browser.people import ANNA, Owner
from tests.browser.places import PLACES, Place

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
VIEWS = {
    "en-GB": (("light", WIDE), ("dark", WIDE), ("contrast", WIDE), ("light", NARROW), ("dark", NARROW)),
    "ar-EG": (("light", WIDE), ("dark", NARROW)),
}
"""Themes and sizes by language; a place is reached once for each language."""

WEAR = """theme => {
  document.documentElement.dataset.theme = theme;
  document.documentElement.toggleAttribute("data-contrast", theme === "contrast");
}"""
AT_REST = """() => document.getAnimations().every(({ playState, effect }) =>
  playState !== "running" || effect.getComputedTiming().iterations === Infinity)"""


class SampleServer(ScriptedServer):
    """One whose models say what the samples say."""

    module = "docs.images.sample"


def pictures(browser: Browser, url: str, cookie: str, place: Place, folder: Path, locale: str) -> None:
    """One place in all views of a language. What is reached on a wide screen stays open when it is made narrow."""
    context = browser.new_context(
        base_url=url, viewport=WIDE, locale=locale, reduced_motion="reduce", bypass_csp=True, service_workers="block"
    )
    if cookie:
        context.add_cookies([{"name": "myna_session", "value": cookie, "url": url}])
    page = context.new_page()
    page.goto(place.path)
    page.locator("h1, article, form").first.wait_for()
    page.wait_for_load_state("networkidle")
    sample.REACH.get(place.name, place.reach)(page)
    page.wait_for_load_state("networkidle")
    for theme, size in VIEWS[locale]:
        page.set_viewport_size(size)
        page.evaluate(WEAR, theme)
        page.wait_for_function(AT_REST)
        place_name = re.sub(r"\W+", "-", place.name)
        page.screenshot(path=folder / f"{place_name}-{locale[:2]}-{theme}-{size['width']}.png")
    context.close()


def tidy(server: ScriptedServer, since: int) -> None:
    """Delete the chats and projects that were made to reach a place, so that each picture shows the samples alone."""
    for archived in ("false", "true"):
        listed = server.get(f"/api/chats?limit=200&archived={archived}")["chats"]
        made = [chat["id"] for chat in listed if chat["created_at"] >= since]
        if made:
            server.ask("POST", "/api/chats/bulk", {"action": "delete", "ids": made})
    for project in server.get("/api/projects")["projects"]:
        if project["created_at"] >= since:
            server.ask("DELETE", f"/api/projects/{project['id']}")


def main(folder: Path, wanted: list[str]) -> None:
    """All places in all views; a place that cannot be reached is named and passed over."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other, sync_playwright() as playwright:
        open_to_all, guarded = SampleServer(Path(one)), SampleServer(Path(other))
        sample.ask_in_places()
        sample.fill(Path(one))
        open_to_all.start()
        guarded.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            owner = Owner(guarded)
            owner.make("Bruno Keller")
            cookie = owner.session_of(ANNA)
            since = now()
            for place in (place for place in PLACES if not wanted or any(part in place.name for part in wanted)):
                server = open_to_all if place.who == "local" else guarded
                for locale in VIEWS:
                    try:
                        who = cookie if place.who == "owner" else ""
                        pictures(browser, server.url, who, place, folder, locale)
                    except Exception as error:
                        print(f"{place.name}, {locale}: {str(error).splitlines()[0]}")
                    tidy(open_to_all, since)
        finally:
            browser.close()
            open_to_all.stop()
            guarded.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
