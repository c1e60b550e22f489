"""Everything without a mouse."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import MynaServer
from tests.browser.doing import SHORT, SUM, answers, ask, composer, questions, send, wait_until_done


def test_a_conversation_by_keyboard_alone(visit, server: MynaServer) -> None:
    page = visit(server).page()
    expect(composer(page)).to_be_focused()
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    expect(composer(page)).to_have_value("first line\nsecond line")
    page.keyboard.press("Control+a")
    page.keyboard.type(SHORT)
    page.keyboard.press("Enter")
    expect(answers(page).last).to_contain_text("Paris")
    wait_until_done(page)
    expect(composer(page)).to_be_focused()

    # The edit button of the question is reached by walking back from the composer.
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.ariaLabel") == "Edit":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Edit message")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(SUM)
    page.keyboard.press("Enter")
    expect(questions(page).last).to_contain_text(SUM)
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    wait_until_done(page)
    expect(composer(page)).to_be_focused()

    page.keyboard.press("Control+Shift+o")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(composer(page)).to_be_focused()
    expect(questions(page)).to_have_count(0)


def test_shortcuts(visit, server: MynaServer) -> None:
    page = visit(server).page()
    expect(composer(page)).to_be_focused()
    page.keyboard.press("Control+/")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(composer(page)).to_be_focused()

    page.keyboard.press("Control+Shift+m")
    menu = page.get_by_role("dialog", name="Choose a model")
    expect(menu.get_by_role("button", pressed=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)

    page.keyboard.press("Control+Shift+s")
    expect(page.get_by_role("navigation", name="Chats")).to_be_hidden()
    page.keyboard.press("Control+Shift+s")
    expect(page.get_by_role("navigation", name="Chats")).to_be_visible()

    page.get_by_role("button", name="Keyboard shortcuts").focus()
    page.keyboard.press("/")
    expect(composer(page)).to_be_focused()
    expect(composer(page)).to_have_value("")


def test_the_skip_link_leads_past_the_sidebar(visit, server: MynaServer) -> None:
    page = visit(server).page()
    expect(composer(page)).to_be_focused()
    page.get_by_role("link", name="Skip to the conversation").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("main").locator("*:focus")).to_have_count(1)


def test_a_menu_is_walked_with_arrows_and_gives_the_focus_back(visit, server: MynaServer) -> None:
    page = visit(server).page()
    ask(page, "Walk through the menu.")
    actions = page.get_by_role("button", name="Actions for Walk through the menu.")
    actions.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Pin")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete this chat?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(actions).to_be_focused()


def test_the_focus_stays_with_the_message_whose_button_goes(visit, scripted: MynaServer) -> None:
    page = visit(scripted).page()
    ask(page, "#cut #say Over and")

    def press(name: str) -> None:
        page.get_by_role("button", name=name).last.focus()
        page.keyboard.press("Enter")

    press("Continue")
    expect(answers(page).last).to_be_focused()
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    wait_until_done(page)
    press("Answer again")
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    expect(answers(page).last).to_be_focused()
    wait_until_done(page)
    press("Previous version")
    expect(page.get_by_role("button", name="Next version")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Previous version")).to_be_focused()
    send(page, "#hang")
    press("Stop")
    expect(answers(page).last.get_by_text("You stopped this answer.")).to_be_visible()
    expect(composer(page)).to_be_focused()
