"""Every page, menu and dialog in every theme, in Arabic and on the narrowest screen: what axe finds, what gets lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.building import modules
from tests.browser.conftest import ScriptedServer, Visit
from tests.browser.marking import mark_words, unmarked
from tests.browser.people import ANNA, NOT_SIGNED_IN, Owner
from tests.browser.places import PLACES, Place

THEMES = ("light", "dark", "contrast")
NARROWEST = 320
"""CSS pixels: what 1280 are at 400 percent."""
SMALLEST_TARGET = 24
COUNT_REQUESTS = """
window.asking = 0;
const ask = window.fetch;
window.fetch = (...request) => {
  window.asking++;
  // What is said in an answer is drawn a moment after it has come.
  const done = () => setTimeout(() => window.asking--, 50);
  const answer = ask(...request);
  answer.then((response) => response.clone().text()).then(done, done);
  return answer;
};
"""


@pytest.fixture(scope="module")
def guarded(static: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedServer, str]]:
    """A server with accounts, and its owner's cookie."""
    running = ScriptedServer(tmp_path_factory.mktemp("guarded"))
    running.start()
    owner = Owner(running)
    owner.make("Bruno Keller")
    yield running, owner.session_of(ANNA)
    running.stop()


@pytest.fixture(scope="module")
def unguarded(static: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedServer]:
    """One without accounts, whose chats are those of this walk whatever else has been tested."""
    running = ScriptedServer(tmp_path_factory.mktemp("unguarded"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def at(
    visit: Callable[..., Visit], unguarded: ScriptedServer, guarded: tuple[ScriptedServer, str]
) -> Callable[..., Page]:
    """Goes to a place in a browser of a language."""

    def go(place: Place, locale: str, prepare: Callable[[BrowserContext], None] | None = None) -> Page:
        server, cookie = (unguarded, "") if place.who == "local" else guarded
        opened = visit(server, bypass_csp=True, locale=locale, reduced_motion="reduce")
        opened.context.add_init_script(COUNT_REQUESTS)
        if place.who == "owner":
            opened.context.add_cookies([{"name": "myna_session", "value": cookie, "url": server.url}])
        opened.watch.expected = (NOT_SIGNED_IN, "status of 404")
        if prepare:
            prepare(opened.context)
        page = opened.page(place.path)
        expect(page.locator("h1, article, form").first).to_be_visible()
        answered(page)
        place.reach(page)
        answered(page)
        page.add_script_tag(path=modules() / "axe-core" / "axe.min.js")
        return page

    return go


def answered(page: Page) -> None:
    """Until the page has asked for nothing that has not come, and shows no bones in its place."""
    page.wait_for_function("() => window.asking === 0 && document.querySelector('.skeleton') === null")


def wear(page: Page, theme: str) -> None:
    """A theme, without a reload."""
    page.evaluate(
        """theme => {
          document.documentElement.dataset.theme = theme;
          document.documentElement.toggleAttribute("data-contrast", theme === "contrast");
        }""",
        theme,
    )


def violations(page: Page, rules: str = "all") -> list[str]:
    """What axe finds, with the elements it means."""
    settle(page)
    found: list[dict[str, Any]] = page.evaluate(
        """rules => axe.run({ resultTypes: ["violations"], ...(rules === "all" ? {} : { runOnly: [rules] }) })
          .then((all) => all.violations)""",
        rules,
    )
    return [f"{each['id']}: {json.dumps([node['html'][:200] for node in each['nodes']])}" for each in found]


def settle(page: Page) -> None:
    """Until what a change has set going has come to rest."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function(
        """() => document.getAnimations().every(({ playState, effect }) =>
          playState !== "running" || effect.getComputedTiming().iterations === Infinity)"""
    )


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_everybody_can_use_it(at: Callable[..., Page], place: Place) -> None:
    page = at(place, "en-GB")
    for theme in THEMES:
        wear(page, theme)
        # The elements are the same in all; the colours are not.
        assert violations(page, "all" if theme == THEMES[0] else "color-contrast") == [], theme
    assert small_targets(page) == []
    assert cut_off(page) == []

    page.set_viewport_size({"width": NARROWEST, "height": 640})
    assert cut_off(page) == []
    page.add_style_tag(
        content="* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }"
        "p { margin-block-end: 2em !important }"
    )
    assert cut_off(page) == [], "with wider text"


@pytest.mark.parametrize("place", [place for place in PLACES if not place.shown_in], ids=lambda place: place.name)
def test_it_speaks_and_reads_another_language(at: Callable[..., Page], place: Place) -> None:
    page = at(place, "ar-EG", prepare=mark_words)
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
    assert "⟦" in page.title()
    assert "\n".join(unmarked(page)) == ""
    # A mark at the end of a label is not within the longer name.
    assert [found for found in violations(page) if not found.startswith("label-content-name-mismatch")] == []
    page.set_viewport_size({"width": NARROWEST, "height": 640})
    assert cut_off(page) == []


def small_targets(page: Page) -> list[str]:
    """Controls smaller than a finger needs; links within a sentence, and tokens in their lines, are as high as they."""
    return list(
        page.evaluate(
            """least => [...document.querySelectorAll("button, a, select, summary, [role=option]:not(.token)")]
              .filter((element) => element.checkVisibility() && !element.closest("p, .prose, .skip, .offscreen"))
              .map((element) => [element, element.getBoundingClientRect()])
              .filter(([, box]) => box.width > 1 && (box.width < least || box.height < least))
              .map(([element, box]) => `${element.ariaLabel ?? element.textContent}: ${box.width} x ${box.height}`)""",
            SMALLEST_TARGET,
        )
    )


def cut_off(page: Page) -> list[str]:
    """What lies beyond the sides of the screen or of a dialog, and is not in something of its own that scrolls."""
    settle(page)
    return list(
        page.evaluate(
            """() => {
              const wider = (element) => element.tagName !== "DIALOG" && element.scrollWidth > element.clientWidth
                && ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
              const scrolls = (element) => element !== null && element !== document.documentElement
                && (wider(element) || scrolls(element.parentElement));
              const hidden = (element) => element.closest("[inert], .sr-only, .offscreen, .skip") !== null;
              return [...document.querySelectorAll("button, a, input, textarea, select, h1, h2, h3, p, td, dd, label")]
                .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !hidden(element))
                .filter((element) => {
                  const { left, right, width } = element.getBoundingClientRect();
                  const within = element.closest("dialog") ?? document.body;
                  const { left: from, right: to } = within.getBoundingClientRect();
                  return width > 1 && (left < from - 1 || right > to + 1) && !scrolls(element.parentElement);
                })
                .map((element) => element.outerHTML.slice(0, 160));
            }"""
        )
    )
