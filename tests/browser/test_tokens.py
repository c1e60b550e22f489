"""The token view: how likely each token was, what else the model would have said, and going on from that."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import MynaServer, Visit
from tests.browser.doing import answers, ask, copied_by


def test_tokens_can_be_read_and_an_answer_goes_on_from_another(
    visit: Callable[..., Visit], scripted: MynaServer
) -> None:
    visiting = visit(scripted)
    visiting.context.unroute("**/api/chats/*/runs")  # what goes on from a token has no run of its own to change
    page = visiting.page()
    ask(page, "#say A myna talks.\nAnd sings.")
    answer = answers(page).last
    answer.get_by_role("button", name="Show how likely each token was").click()
    tokens = answer.get_by_role("option")
    expect(answer.get_by_text("Perplexity")).to_have_count(1)
    assert "".join(tokens.all_inner_texts()).replace("·", " ").replace("↵\n", "\n") == "A myna talks.\nAnd sings."
    # No more than one of the thousands is on the way of the Tab key, and the arrow keys walk through them.
    listbox = answer.get_by_role("listbox")
    page.mouse.move(2, 2)
    listbox.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(answer.locator("[aria-selected=true]")).to_have_attribute("aria-label", "my, 14 %, rank 1")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    expect(answer.locator("[aria-selected=true]")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    alternatives = answer.get_by_role("group", name="Likeliest tokens here")
    expect(alternatives.get_by_role("button").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(alternatives.get_by_role("button").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(alternatives).to_have_count(0)
    expect(listbox).to_be_focused()
    # With the pointer, too: the alternatives of what is under it.
    tokens.nth(2).hover()
    expect(alternatives).to_be_visible()
    tokens.nth(2).click()
    alternatives.get_by_role("button", name="Continue with n0").press("Enter")
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    expect(answers(page).last).to_be_focused()
    expect(answers(page).last.locator(".prose")).to_have_text("A myn0 and so it goes on.")
    page.reload()
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
    expect(answers(page).last.locator(".prose")).to_contain_text("and so it goes on.")


def test_what_a_model_thought_is_folded_and_not_copied(visit: Callable[..., Visit], scripted: MynaServer) -> None:
    page = visit(scripted).page()
    ask(page, "#think=birds #say A myna.")
    answer = answers(page).last
    thought = answer.get_by_role("button", name="Thought for")
    expect(thought).to_have_attribute("aria-expanded", "false")
    expect(answer.get_by_text("birds")).to_have_count(0)
    assert copied_by(answer.get_by_role("button", name="Copy", exact=True)) == "A myna."
    thought.click()
    expect(answer.get_by_text("birds")).to_be_visible()
    page.reload()
    expect(answers(page).last.get_by_role("button", name="Thought for")).to_be_visible()
    answers(page).last.get_by_role("button", name="Details").click()
    details = page.get_by_role("dialog", name="Answer details")
    for row in ("Context used", "by itself", "Thought", "Temperature", "Seed"):
        expect(details).to_contain_text(row)
