"""Sending, streaming, stopping, branching: with the real model, and as many tabs as people open."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MynaServer
from tests.browser.doing import (
    LONG,
    SHORT,
    SUM,
    answers,
    ask,
    chat_id,
    composer,
    copied_by,
    letters,
    questions,
    send,
    until,
    wait_for_words,
    wait_until_done,
    words,
)


@pytest.fixture
def page(visit, server: MynaServer) -> Page:
    return visit(server).page()


def expect_words(page: Page, text: str) -> None:
    """The last answer says so."""
    until(page, lambda: words(page), lambda shown: shown == text)


def expect_all_the_same(*tabs: Page) -> None:
    """The last answer is the same in each, and says something."""
    until(tabs[0], lambda: [words(tab) for tab in tabs], lambda shown: shown[0] and len(set(shown)) == 1)


def stored_text(server: MynaServer, page: Page) -> str:
    """The last answer as the server keeps it."""
    messages = server.get(f"/api/chats/{chat_id(page)}")["messages"]
    return "".join(part["text"] for part in messages[-1]["parts"])


def test_an_answer_streams_into_the_page(page: Page, server: MynaServer) -> None:
    send(page, SHORT)
    expect(answers(page).last).to_contain_text("Paris")
    wait_until_done(page)
    expect(page.get_by_role("status").filter(has_text="Answer complete")).to_be_attached()
    expect(page.get_by_role("navigation", name="Chats").locator("[aria-current=page]")).to_contain_text(SHORT)
    expect_words(page, stored_text(server, page).strip())
    # One that lasts long enough to be seen at it.
    send(page, LONG)
    expect(page.get_by_role("button", name="Stop answering")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Generating")).to_be_attached()
    page.get_by_role("button", name="Stop answering").click()
    wait_until_done(page)
    expect(page.get_by_role("status").filter(has_text="You stopped this answer")).to_be_attached()


def test_an_example_fills_the_composer(page: Page) -> None:
    page.get_by_role("button", name="Help with code").click()
    expect(composer(page)).to_have_value("Write a Python function that finds the most common word in a text file.")
    expect(composer(page)).to_be_focused()


def test_reloading_in_the_middle_continues_the_answer(page: Page, server: MynaServer) -> None:
    send(page, LONG)
    shown = wait_for_words(page)
    page.reload()
    assert letters(wait_for_words(page, len(shown))).startswith(letters(shown))
    wait_for_words(page, len(shown) + 20)
    page.get_by_role("button", name="Stop answering").click()
    wait_until_done(page)
    assert letters(words(page)) == letters(stored_text(server, page))


def test_three_tabs_show_the_same(visit, server: MynaServer) -> None:
    same = visit(server)
    first = same.page()
    send(first, LONG)
    second = same.page(f"/chat/{chat_id(first)}")
    wait_for_words(second)
    third = same.page(f"/chat/{chat_id(first)}")
    wait_for_words(third)
    third.bring_to_front()
    third.get_by_role("button", name="Stop answering").click()
    for tab in (first, second, third):
        wait_until_done(tab)
        expect(answers(tab).last).to_contain_text("You stopped this answer.")
    expect_all_the_same(first, second, third)

    second.bring_to_front()
    send(second, SHORT)
    for tab in (first, third):
        expect(questions(tab)).to_have_count(2)
        expect(answers(tab)).to_have_count(2)
    for tab in (first, second, third):
        wait_until_done(tab)
    expect_all_the_same(first, second, third)


def test_a_stopped_answer_can_be_continued(page: Page) -> None:
    send(page, LONG)
    wait_for_words(page)
    composer(page).press("Escape")
    expect(answers(page).last).to_contain_text("You stopped this answer.")
    stopped = words(page)
    page.get_by_role("button", name="Continue").click()
    wait_for_words(page, len(stopped) + 10)
    assert letters(words(page)).startswith(letters(stopped))
    composer(page).press("Escape")
    wait_until_done(page)
    expect(answers(page)).to_have_count(1)


def test_an_edit_is_another_branch_and_both_stay(page: Page) -> None:
    first = ask(page, SHORT)
    questions(page).last.hover()
    page.get_by_role("button", name="Edit").click()
    editor = page.get_by_role("textbox", name="Edit message")
    editor.fill(SUM)
    editor.press("Enter")
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    wait_for_words(page, 1)
    wait_until_done(page)
    second = words(page)
    assert second != first

    with page.expect_response(lambda response: response.request.method == "PATCH"):
        page.get_by_role("button", name="Previous version").click()
    expect(questions(page).last).to_contain_text(SHORT)
    expect_words(page, first)
    page.reload()
    expect(page.get_by_role("group", name="Version 1 of 2")).to_be_visible()
    expect_words(page, first)
    page.get_by_role("button", name="Next version").click()
    expect(questions(page).last).to_contain_text(SUM)
    expect_words(page, second)


def test_answering_again_keeps_the_first_answer(page: Page) -> None:
    ask(page, SHORT)
    page.get_by_role("button", name="Answer again").click()
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    wait_until_done(page)
    expect(questions(page)).to_have_count(1)
    page.get_by_role("button", name="Previous version").click()
    expect(page.get_by_role("group", name="Version 1 of 2")).to_be_visible()
    expect(answers(page).last).to_contain_text("Paris")


def test_a_message_can_be_deleted_and_what_follows_stays(page: Page) -> None:
    ask(page, SHORT)
    ask(page, SUM)
    answers(page).first.hover()
    answers(page).first.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(answers(page)).to_have_count(1)
    expect(questions(page)).to_have_count(2)
    page.reload()
    expect(questions(page)).to_have_count(2)
    expect(answers(page)).to_have_count(1)


def test_details_say_how_an_answer_was_made(page: Page) -> None:
    ask(page, SHORT)
    page.get_by_role("button", name="Details").click()
    details = page.get_by_role("dialog", name="Answer details")
    for word in ("Model", "Speed", "First token", "Seed", "tokens/s"):
        expect(details).to_contain_text(word)
    page.keyboard.press("Escape")
    expect(details).to_have_count(0)
    expect(page.get_by_role("button", name="Details")).to_be_focused()


def test_an_answer_can_be_copied(page: Page) -> None:
    said = ask(page, SHORT)
    assert copied_by(answers(page).last.get_by_role("button", name="Copy", exact=True)).strip() == said


def test_twenty_thousand_lines_are_taken_and_folded(visit, server: MynaServer) -> None:
    page = visit(server).page()
    text = "\n".join(f"{number:05} lines of text that someone pasted" for number in range(20_000))
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    composer(page).fill("Why? ")
    composer(page).press("Control+v")
    pasted = page.get_by_role("group", name="Pasted text")
    expect(pasted).to_contain_text("Why? 00000 lines")
    expect(composer(page)).to_have_value("")
    page.get_by_role("button", name="Remove the pasted text").click()
    expect(pasted).to_have_count(0)
    expect(composer(page)).to_have_value("Why? ")
    composer(page).press("Control+v")
    page.keyboard.type("!")
    expect(composer(page)).to_have_value("!")
    page.reload()
    expect(composer(page)).to_have_value(f"Why? {text}!")
    assert composer(page).bounding_box()["height"] < 400
    composer(page).fill("")
    composer(page).press("Control+v")
    composer(page).press("Enter")
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    expect(questions(page).last).not_to_contain_text("01000 lines")
    # Longer than any context: the person is told, with both numbers.
    expect(page.get_by_role("main")).to_contain_text("this model's context holds")


def test_what_was_typed_survives_a_reload(page: Page) -> None:
    composer(page).fill("half a thought\nand a second line")
    page.reload()
    expect(composer(page)).to_have_value("half a thought\nand a second line")
    ask(page, SHORT)
    expect(composer(page)).to_have_value("")
    composer(page).fill("another, in this chat")
    page.get_by_role("link", name="New chat").click()
    expect(composer(page)).to_have_value("")
    page.go_back()
    expect(composer(page)).to_have_value("another, in this chat")
