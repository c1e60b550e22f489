"""What helps to read: numbers of lists, large text, colours of one's own, the order of the focus."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MynaServer, Visit
from tests.browser.doing import answers, ask, composer
from tests.browser.places import PLACES
from tests.browser.test_places import cut_off

ZOOMED = {"width": 640, "height": 400}
"""What a window of 1280 by 800 is at 200 percent."""


def test_a_list_keeps_its_numbers_while_it_is_written(visit: Callable[..., Visit], scripted: MynaServer) -> None:
    page = visit(scripted).page()
    ask(page, "#rate=60 #say Three things:\n\n1. It sings.\n2. It flies.\n3. It *sleeps* at night.")
    item = answers(page).last.get_by_role("listitem").last
    expect(item).to_contain_text("sleeps")
    expect(item).to_have_css("list-style-type", "decimal")


@pytest.mark.parametrize("name", ["tokens and alternatives", "comparing versions", "what was found", "usage"])
def test_nothing_is_lost_at_twice_the_size(visit: Callable[..., Visit], scripted: MynaServer, name: str) -> None:
    place = next(place for place in PLACES if place.name == name)
    page = visit(scripted, reduced_motion="reduce").page(place.path)
    expect(page.locator("h1, article, form").first).to_be_visible()
    place.reach(page)
    page.set_viewport_size(ZOOMED)
    assert cut_off(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= ZOOMED["width"]


def test_the_chat_that_is_shown_is_outlined_in_colours_of_ones_own(
    visit: Callable[..., Visit], scripted: MynaServer
) -> None:
    page = visit(scripted, forced_colors="active").page()
    ask(page, "A chat that is shown")
    line = (
        page.get_by_role("navigation", name="Chats")
        .locator("[aria-current]")
        .first.evaluate(
            """shown => [shown, shown.parentElement].map((each) => getComputedStyle(each))
          .some(({ outlineStyle, borderTopStyle }) => outlineStyle !== "none" || borderTopStyle !== "none")"""
        )
    )
    assert line, "there is no colour to tell it by"


def test_the_focus_goes_through_the_page_as_one_reads_it(visit: Callable[..., Visit], own_scripted: MynaServer) -> None:
    page = visit(own_scripted).page()
    ask(page, "Where does the focus go?")
    page.get_by_role("link", name="Skip to the conversation").focus()
    stops = []
    for _ in range(80):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText"))
        if composer(page).evaluate("box => box === document.activeElement"):
            break
    places = [stops.index(name) for name in ("New chat", "Keyboard shortcuts", "Edit", "Answer again", "Message")]
    assert places == sorted(places), stops
