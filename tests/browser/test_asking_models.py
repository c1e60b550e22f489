"""Licences before use, a chat's own settings and presets, models side by side, and the playground."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import ScriptedServer, Visit
from tests.browser.doing import ask, chat_id


def choose(page: Page, title: str) -> None:
    page.locator("header [aria-haspopup=dialog]").first.click()
    page.get_by_role("dialog", name="Choose a model").get_by_role("button", name=title).click()


def last_answer(server: ScriptedServer, chat: str) -> Any:
    return server.get(f"/api/chats/{chat}")["messages"][-1]


def test_a_licence_that_forbids_something_is_read_before_the_first_use(
    visit: Callable[..., Visit], own_scripted: ScriptedServer
) -> None:
    page = visit(own_scripted).page()
    choose(page, "Research")
    dialog = page.get_by_role("dialog", name="Before you use Research")
    expect(dialog).to_contain_text("Creative Commons BY-NC 4.0")
    expect(dialog).to_contain_text("Forbids any use that is meant to earn money.")
    expect(dialog.get_by_role("link")).to_have_attribute("href", "https://creativecommons.org/licenses/by-nc/4.0/")
    dialog.get_by_role("button", name="Not now").click()
    expect(page.locator("main header")).to_contain_text("Scripted")
    choose(page, "Research")
    dialog.get_by_role("button", name="I have read it").click()
    expect(page.locator("main header")).to_contain_text("Research")
    assert ask(page, "Good morning.") == "You said: Good morning."
    page.reload()
    choose(page, "Research")  # never asked again
    expect(dialog).to_have_count(0)


def test_settings_of_a_chat_count_from_the_next_answer_and_presets_carry_them(
    visit: Callable[..., Visit], own_scripted: ScriptedServer
) -> None:
    page = visit(own_scripted).page()
    page.get_by_role("button", name="Model settings").click()
    dialog = page.get_by_role("dialog", name="Model settings of the new chat")
    expect(dialog.get_by_text("Model's own: 0.6")).to_be_visible()
    dialog.get_by_role("textbox", name="Temperature").fill("3")
    expect(dialog.get_by_text("From 0 to 2")).to_be_visible()
    dialog.get_by_role("textbox", name="Temperature").fill("0")
    dialog.get_by_label("My own").check()
    dialog.get_by_role("textbox", name="System prompt").fill("Rhyme.")
    dialog.get_by_label("Name").fill("Poet")
    dialog.get_by_role("button", name="Save as preset").click()
    dialog.get_by_role("button", name="Begin new chats with Poet").click()
    expect(dialog.get_by_text("New chats begin with it")).to_be_visible()

    # By keyboard, and nothing is gone for good.
    dialog.get_by_role("button", name="Rename Poet").press("Enter")
    field = dialog.get_by_role("textbox", name="Rename Poet")
    field.fill("Bard")
    field.press("Escape")
    expect(dialog.get_by_role("button", name="Rename Poet")).to_be_focused()
    dialog.get_by_role("button", name="Delete Poet").press("Enter")
    expect(dialog.get_by_role("button", name="Undo")).to_be_focused()
    expect(dialog.get_by_role("button", name="Apply Poet")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Delete Poet")).to_be_focused()
    expect(dialog.get_by_text("New chats begin with it")).to_be_visible()
    dialog.get_by_role("textbox", name="System prompt").fill("Rhyme well.")
    dialog.get_by_role("textbox", name="Name", exact=True).fill("Poet")
    dialog.get_by_role("button", name="Update preset").click()
    expect(dialog.get_by_role("button", name="Save as preset")).to_be_disabled()
    expect(dialog.get_by_role("button", name="Apply Poet")).to_have_count(1)
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(dialog).to_have_count(0)
    page.reload()  # of a chat that does not exist yet, too
    ask(page, "Good morning.")
    chat = chat_id(page)
    asked = last_answer(own_scripted, chat)["parameters"]
    assert (asked["temperature"], asked["system_prompt"]) == (0, "Rhyme well.")

    page.get_by_role("button", name="Model settings (changed)").click()
    dialog = page.get_by_role("dialog", name="Model settings of this chat")
    dialog.get_by_role("button", name="Reset all").click()
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(dialog).to_have_count(0)
    ask(page, "Go on.")
    assert last_answer(own_scripted, chat)["parameters"]["temperature"] == 0.6

    page.goto(own_scripted.url)
    expect(page.get_by_role("button", name="Model settings (changed)")).to_be_visible()
    ask(page, "Again.")
    assert last_answer(own_scripted, chat_id(page))["parameters"]["system_prompt"] == "Rhyme well."


def test_one_message_to_several_models_and_on_with_one_of_them(
    visit: Callable[..., Visit], own_scripted: ScriptedServer
) -> None:
    page = visit(own_scripted).page("/compare")
    page.get_by_label("Message", exact=True).fill("#hang #say Both at once")
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("#hang #say Both at once")  # kept as it was typed
    page.get_by_role("button", name="Compare", exact=True).click()
    columns = page.get_by_role("listitem").filter(has=page.get_by_role("heading", level=2))
    expect(columns).to_have_count(2)
    expect(columns.nth(0)).to_contain_text("1. Scripted")
    expect(columns.nth(1)).to_contain_text("Both at once")
    expect(columns.nth(0)).to_contain_text("Both at once")
    page.get_by_role("button", name="Stop 1. Scripted").click()
    expect(columns.nth(0)).to_contain_text("You stopped this answer.")
    expect(page.get_by_role("button", name="Stop 2.")).to_be_visible()  # the other goes on
    page.reload()
    expect(columns.nth(1)).to_contain_text("Both at once")
    page.get_by_role("button", name="Stop all").click()
    with page.context.expect_page() as beside:
        page.get_by_role("link", name="New comparison").click(modifiers=["Control"])
    expect(beside.value.get_by_label("Message", exact=True)).to_be_visible()
    page.get_by_role("button", name="Go on with this: 1.").click()
    chat_id(page)
    expect(page.get_by_label("Version 1 of 2")).to_be_visible()
    expect(page.get_by_role("region", name="Conversation")).to_contain_text("Both at once")


def test_raw_text_is_continued_kept_and_taken_back(visit: Callable[..., Visit], own_scripted: ScriptedServer) -> None:
    page = visit(own_scripted).page("/playground")
    text = page.get_by_label("Text", exact=True)
    run = page.get_by_role("button", name="Continue", exact=True)
    goes_on = re.compile(r"^Once upon a time and so it goes on\. ?$")
    text.fill("Once upon a time")
    run.click()
    expect(text).to_have_value(goes_on)
    expect(page.get_by_text("The model ended here.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(text).to_have_value("Once upon a time")
    page.get_by_role("button", name="Redo").click()
    page.reload()
    expect(text).to_have_value(goes_on)

    text.fill("Once upon a time")
    page.get_by_label("Continuations").select_option("2")
    run.click()
    expect(page.get_by_role("heading", name="Continuation 2")).to_be_visible()
    expect(text).to_have_value("Once upon a time")  # of several, one is taken
    page.get_by_role("button", name="Take this one: continuation 2").click()
    expect(text).to_have_value(goes_on)
    assert own_scripted.get("/api/chats")["chats"] == []  # nothing is stored


def test_models_are_loaded_unloaded_and_told_about(visit: Callable[..., Visit], own_scripted: ScriptedServer) -> None:
    page = visit(own_scripted).page("/models")
    other = page.get_by_role("article", name="Other")
    expect(other).to_contain_text("Not loaded")
    other.get_by_role("button", name="Load", exact=True).click()
    expect(other).to_contain_text("Loaded")
    other.get_by_role("button", name="Unload").click()
    expect(other).to_contain_text("Not loaded")
    other.get_by_text("About this model").click()
    expect(other).to_contain_text("SHA-256")
    other.get_by_role("button", name="Delete from disk").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete from disk").click()
    expect(other.get_by_role("button", name="Download")).to_be_visible()
    page.get_by_role("searchbox").fill("rem")
    expect(page.get_by_role("article")).to_have_count(1)
