"""What people see and reach: narrow screens, dark and light, and what axe finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.building import modules
from tests.browser.conftest import MynaServer, ScriptedServer, Visit
from tests.browser.doing import SHORT, answers, ask, composer, questions, send, wait_until_done

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SMALLEST_TARGET = 24


def serious_problems(page: Page) -> list[str]:
    """What axe finds, with the elements it means. Nothing moves any more: what fades in has no contrast yet."""
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function(
        """() => document.getAnimations().every(({ playState, effect }) =>
          playState !== "running" || effect.getComputedTiming().iterations === Infinity)"""
    )
    page.add_script_tag(path=modules() / "axe-core" / "axe.min.js")
    found: dict[str, Any] = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{violation['id']}: {json.dumps([node['html'][:200] for node in violation['nodes']])}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def test_a_phone_has_everything_within_reach(visit: Callable[..., Visit], server: MynaServer) -> None:
    page = visit(server, **PHONE).page()
    expect(page.get_by_role("navigation", name="Chats")).to_be_hidden()
    ask(page, "Reach me on a phone.")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]

    page.get_by_role("button", name="Open sidebar").tap()
    expect(page.get_by_role("navigation", name="Chats")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation", name="Chats")).to_be_hidden()
    expect(page.get_by_role("button", name="Open sidebar")).to_be_focused()
    page.get_by_role("button", name="Open sidebar").tap()
    page.get_by_role("link", name="New chat").tap()
    expect(page.get_by_role("navigation", name="Chats")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("button", name="Open sidebar").tap()
    page.get_by_role("link", name="Reach me on a phone.").tap()
    expect(page.get_by_role("navigation", name="Chats")).to_be_hidden()
    expect(questions(page)).to_have_count(1)

    small = page.evaluate(
        """least => [...document.querySelectorAll("main button, main a")]
          .filter((element) => element.checkVisibility())
          .map((element) => [element.ariaLabel ?? element.textContent, element.getBoundingClientRect()])
          .filter(([, box]) => box.width < least || box.height < least)
          .map(([name]) => name)""",
        SMALLEST_TARGET,
    )
    assert small == []


def test_enter_makes_a_new_line_where_there_is_no_shift_key(visit: Callable[..., Visit], server: MynaServer) -> None:
    page = visit(server, **PHONE).page()
    composer(page).fill("one")
    composer(page).press("Enter")
    expect(composer(page)).to_have_value("one\n")


def test_a_chosen_theme_stays(visit: Callable[..., Visit], server: MynaServer) -> None:
    page = visit(server, color_scheme="light").page()
    root = page.locator("html")
    expect(composer(page)).to_be_visible()
    light = root.evaluate("root => getComputedStyle(root).backgroundColor")
    page.get_by_title("Dark", exact=True).click()
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    expect(root).not_to_have_css("background-color", light)
    dark = root.evaluate("root => getComputedStyle(root).backgroundColor")
    page.reload()
    expect(root).to_have_css("background-color", dark)
    page.get_by_title("System", exact=True).click()
    expect(root).to_have_css("background-color", light)
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_css("background-color", dark)


def test_reading_further_up_is_not_disturbed_by_new_text(visit: Callable[..., Visit], scripted: ScriptedServer) -> None:
    page = visit(scripted, viewport={"width": 800, "height": 400}).page()
    ask(page, SHORT)
    send(page, "#paragraphs=500 #fast=200 #rate=60")
    conversation = page.get_by_role("region", name="Conversation")
    at_end = "element => element.scrollHeight - element.scrollTop - element.clientHeight < 50"
    page.wait_for_function("() => document.querySelector('main section').scrollHeight > 900")
    page.wait_for_function(f"() => ({at_end})(document.querySelector('main section'))")
    # However little one goes up: it stays in reach of the end.
    conversation.focus()
    page.keyboard.press("ArrowUp")
    jump = page.get_by_role("button", name="Jump to the latest")
    expect(jump).to_be_visible()
    place = conversation.evaluate("element => element.scrollTop")
    length = conversation.evaluate("element => element.scrollHeight")
    page.wait_for_function("length => document.querySelector('main section').scrollHeight > length", arg=length)
    assert conversation.evaluate("element => element.scrollTop") == place
    answers(page).first.evaluate("element => element.scrollIntoView()")
    assert page.get_by_role("main").evaluate("element => element.getBoundingClientRect().top") == 0
    jump.click()
    expect(jump).to_have_count(0)
    page.wait_for_function(f"() => ({at_end})(document.querySelector('main section'))")
    page.get_by_role("button", name="Stop answering").click()
    wait_until_done(page)
