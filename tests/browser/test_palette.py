"""The command palette: everything that can be done from anywhere, by a few letters."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import MynaServer, Visit
from tests.browser.doing import ask, composer, questions


def palette(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Command or chat")


def open_palette(page: Page) -> None:
    expect(palette(page)).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(palette(page)).to_be_focused()


def active(page: Page) -> Locator:
    """What Enter would choose."""
    return page.get_by_role("dialog").get_by_role("option", selected=True)


def test_commands_chats_and_models_by_a_few_letters(visit: Callable[..., Visit], own_scripted: MynaServer) -> None:
    page = visit(own_scripted).page()  # what chats of others are called would be found, too
    ask(page, "Parrots in the palette")
    page.keyboard.press("Control+Shift+o")
    expect(questions(page)).to_have_count(0)

    open_palette(page)
    expect(active(page)).to_contain_text("New chat")
    page.keyboard.press("ArrowDown")
    expect(active(page)).to_contain_text("temporary chat")
    page.keyboard.press("ArrowUp")
    expect(active(page)).to_contain_text("New chat")
    page.keyboard.press("ArrowUp")
    expect(active(page)).to_contain_text("Parrots in the palette")
    # Which of them it is, a screen reader hears of the field.
    expect(palette(page)).to_have_attribute("aria-activedescendant", active(page).get_attribute("id") or "none")
    page.keyboard.type("parr pal")
    expect(active(page)).to_contain_text("Parrots in the palette")
    page.keyboard.press("Enter")
    expect(palette(page)).to_have_count(0)
    expect(questions(page)).to_have_count(1)

    open_palette(page)
    page.keyboard.type("other")
    expect(active(page)).to_contain_text("Other")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_role("button", name="Other")).to_be_visible()

    open_palette(page)
    page.keyboard.type("dark")
    expect(active(page)).to_contain_text("Dark")
    page.keyboard.press("Enter")
    expect(palette(page)).to_have_count(0)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    for words, command, address in (
        ("playg", "Playground", "/playground"),
        ("compare", "Compare", "/compare"),
        ("admin", "Administration", "/admin"),
        ("archive", "Archive", "/archive"),
    ):
        open_palette(page)
        page.keyboard.type(words)
        expect(active(page)).to_contain_text(command)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"{address}$"))
    page.evaluate("history.go(-4)")
    expect(page).to_have_url(re.compile("/chat/"))

    # What no title has is looked for in the chats themselves.
    open_palette(page)
    page.keyboard.type("zebra")
    expect(page.get_by_role("status").filter(has_text="1 result")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_have_value("zebra")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    open_palette(page)
    page.keyboard.press("Escape")
    expect(palette(page)).to_have_count(0)
    expect(page).to_have_url(re.compile("/chat/"))


def test_esc_and_the_next_key_may_follow_at_once(visit: Callable[..., Visit], scripted: MynaServer) -> None:
    page = visit(scripted).page()
    expect(composer(page)).to_be_focused()
    open_palette(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("zqx")
    page.keyboard.press("Enter")
    found = page.get_by_role("dialog", name="Search chats")
    expect(found.get_by_role("textbox")).to_have_value("zqx")
    # The browser says that a dialog has closed a moment after it did: by then another may stand in its place.
    page.evaluate(
        """async () => {
          const dialog = document.querySelector("dialog[open]");
          const told = new Promise((resolve) => dialog.addEventListener("close", resolve));
          dialog.close();
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "k", ctrlKey: true, bubbles: true }));
          await told;
        }"""
    )
    expect(palette(page)).to_be_focused()
    expect(found).to_have_count(0)


def test_a_key_alone_can_be_switched_off(visit: Callable[..., Visit], scripted: MynaServer) -> None:
    page = visit(scripted).page()
    button = page.get_by_role("button", name="Keyboard shortcuts")
    expect(composer(page)).to_be_focused()
    button.focus()
    expect(button).to_be_focused()
    page.keyboard.press("/")
    expect(composer(page)).to_be_focused()
    expect(composer(page)).to_have_value("")
    button.click()
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet.get_by_role("term")).to_contain_text(["Send", "New line", "Commands, chats and models", "New chat"])
    expect(sheet.get_by_role("definition").last).to_have_text(re.compile("Alt"))
    sheet.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("/")
    expect(button).to_be_focused()
    page.reload()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(sheet.get_by_role("checkbox")).not_to_be_checked()
