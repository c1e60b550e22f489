"""What one does with messages: change, copy, fork, compare, and let them wait."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import ScriptedServer
from tests.browser.doing import answers, ask, chat_id, composer, questions, send, wait_for_words, wait_until_done


def more(page: Page, item: str) -> None:
    """Choose from the menu of the last answer."""
    answers(page).last.get_by_role("button", name="More for this message").click()
    page.get_by_role("menuitem", name=item).click()


def test_a_message_waits_for_the_answer_above_it(visit, scripted: ScriptedServer) -> None:
    visitor = visit(scripted)
    page = visitor.page()
    send(page, "#hang #say First")
    wait_for_words(page, 5)
    composer(page).fill("second")
    page.get_by_role("button", name="Send after this answer").click()
    expect(questions(page).last).to_contain_text("Will be sent when the answer above is complete")
    composer(page).fill("third")
    composer(page).press("Enter")
    expect(questions(page)).to_have_count(3)
    # Another tab, and this one anew, know of it: it is stored.
    other = visitor.page(f"/chat/{chat_id(page)}")
    expect(questions(other)).to_have_count(3)
    page.bring_to_front()  # a tab behind another draws once a second, which is what each click would wait for
    page.reload()
    expect(questions(page)).to_have_count(3)
    expect(questions(page).last).to_contain_text("Will be sent")
    questions(page).last.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit message").fill("third, changed")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(questions(other).last).to_contain_text("third, changed")
    questions(page).nth(1).get_by_role("button", name="Take back").click()
    expect(questions(page)).to_have_count(2)
    expect(composer(page)).to_have_value("second")
    # Stopped: what waits is held until its user says so.
    page.get_by_role("button", name="Stop answering").click()
    expect(questions(page).last).to_contain_text("Not sent: the answer above ended early")
    expect(questions(other).last).to_contain_text("Not sent")
    questions(page).last.get_by_role("button", name="Send now").click()
    expect(answers(page).last).to_contain_text("You said: third, changed")
    expect(answers(other).last).to_contain_text("You said: third, changed")
    wait_until_done(page)
    # Complete: what waits follows by itself.
    send(page, "#rate=40 #say one two three four five six seven eight")
    wait_for_words(page, 3)
    composer(page).fill("and then?")
    composer(page).press("Enter")
    expect(answers(page).last).to_contain_text("You said: and then?")
    expect(answers(page).nth(-2)).to_contain_text("seven eight")


def test_a_queue_survives_the_server(visit, own_scripted: ScriptedServer) -> None:
    visitor = visit(own_scripted)
    visitor.watch.expected = ("Failed to load resource", "WebSocket")
    page = visitor.page()
    send(page, "#hang #say First")
    wait_for_words(page, 5)
    composer(page).fill("second")
    composer(page).press("Enter")
    expect(questions(page).last).to_contain_text("Will be sent")
    own_scripted.kill()
    own_scripted.start()
    expect(questions(page).last).to_contain_text("Not sent: the answer above ended early")
    questions(page).last.get_by_role("button", name="Send now").click()
    expect(answers(page).last).to_contain_text("You said: second")


def test_texts_are_edited_in_place_or_as_a_copy(visit, scripted: ScriptedServer) -> None:
    visitor = visit(scripted)
    page = visitor.page()
    ask(page, "#say The cat sat on the mat.")
    other = visitor.page(f"/chat/{chat_id(page)}")
    expect(answers(other).last).to_contain_text("The cat")
    page.bring_to_front()
    more(page, "Edit")
    field = page.get_by_role("textbox", name="Edit answer")
    field.fill("The dog sat on the mat.")
    page.reload()  # what was typed is a draft like any other
    expect(field).to_have_value("The dog sat on the mat.")
    field.press("Control+Enter")
    expect(answers(page).last).to_contain_text("The dog sat on the mat.")
    expect(answers(page).last).to_contain_text("Edited")
    expect(answers(other).last).to_contain_text("The dog")

    # Given up by a slip, it can be had back.
    more(page, "Edit")
    field.fill("The cow sat on the mat.")
    field.press("Escape")
    expect(field).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(field).to_have_value("The cow sat on the mat.")
    expect(field).to_be_focused()
    page.get_by_role("button", name="Cancel").click()
    expect(field).to_have_count(0)

    # Two tabs edit one message: the second is told, and loses nothing.
    for tab in (page, other):
        more(tab, "Edit")
    other.get_by_role("textbox", name="Edit answer").fill("The bird sat on the mat.")
    field.fill("The fish sat on the mat.")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(answers(other).last).to_contain_text("The bird")
    visitor.watch.expected = ("409",)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("another tab")
    expect(field).to_have_value("The fish sat on the mat.")
    page.get_by_role("button", name="Save as a copy").click()
    expect(answers(page).last).to_contain_text("The fish")
    expect(answers(page).last).to_contain_text("2/2")

    more(page, "Compare versions")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 place differs")
    expect(dialog.locator("del")).to_contain_text("bird")
    expect(dialog.locator("ins")).to_contain_text("fish")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    # The question, in place: the answer stays.
    questions(page).last.hover()
    questions(page).last.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit message").fill("Where is the fish?")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(questions(page).last).to_contain_text("Where is the fish?")
    expect(answers(page)).to_have_count(1)


def test_what_is_edited_stays_in_sight_at_the_end_of_a_chat(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    ask(page, "#paragraphs=6")
    # By the keyboard or a half hidden button: the page is at its end, and the editor makes it longer.
    questions(page).first.get_by_role("button", name="Edit").evaluate("button => button.click()")
    editor = page.get_by_role("textbox", name="Edit message")
    expect(editor).to_be_focused()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(editor).to_be_in_viewport()


def test_a_branch_becomes_a_chat(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    ask(page, "#say One.")
    ask(page, "#say Two.")
    before = chat_id(page)
    answers(page).first.hover()
    answers(page).first.get_by_role("button", name="More for this message").click()
    page.get_by_role("menuitem", name="Fork into a new chat").click()
    page.wait_for_function("before => !location.pathname.endsWith(before)", arg=before)
    expect(answers(page)).to_have_count(1)
    expect(page.get_by_role("link", name="Branch · #say One.").first).to_have_attribute("aria-current", "page")
    assert ask(page, "#say Another way.") == "Another way."
    page.goto(f"/chat/{before}")
    expect(answers(page)).to_have_count(2)
    expect(answers(page).last.locator(".prose")).to_have_text("Two.")


def test_a_title_comes_by_itself(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    ask(page, "Write me a title that is scripted, if you can. #delay=0.1")
    expect(page.get_by_role("link", name="A scripted title", exact=True).first).to_be_visible()
    ask(page, "#say More.")
    expect(page).to_have_title(re.compile("A scripted title"))


def test_drafts_follow_each_other_and_survive_a_full_browser(visit, scripted: ScriptedServer) -> None:
    visitor = visit(scripted)
    page = visitor.page()
    ask(page, "#say One.")
    other = visitor.page(f"/chat/{chat_id(page)}")
    expect(answers(other)).to_have_count(1)
    composer(page).fill("begun here")
    expect(composer(other)).to_have_value("begun here")
    composer(other).fill("begun here, ended there")
    expect(composer(page)).to_have_value("begun here, ended there")
    composer(other).press("Enter")  # what was sent is no draft any more, in no tab
    expect(composer(page)).to_have_value("")
    expect(answers(page)).to_have_count(2)
    wait_until_done(page)

    page.bring_to_front()
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError') } }")
    composer(page).fill("nowhere to keep this")
    expect(page.get_by_text("storage is full or blocked")).to_be_visible()
    # A refusal gives back what was typed, though nothing could be stored.
    visitor.watch.expected = ("429", "quota")
    visitor.context.route("**/api/chats/*/messages", refused, times=1)
    composer(page).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Your text is still here")
    expect(composer(page)).to_have_value("nowhere to keep this")
    page.get_by_role("link", name="New chat").or_(page.get_by_role("button", name="New chat")).first.click()
    expect(composer(page)).to_have_value("")
    page.go_back()
    expect(composer(page)).to_have_value("nowhere to keep this")
    expect(answers(page)).to_have_count(2)
    composer(page).press("Enter")
    expect(answers(page).last).to_contain_text("You said: nowhere to keep this")


def refused(route) -> None:
    error = {
        "message": "You have used your tokens for today.",
        "type": "x",
        "param": None,
        "code": "insufficient_quota",
    }
    route.fulfill(status=429, json={"error": error})
