"""The scripted server, as the other browser tests use it: what is asked for is what is shown."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import ScriptedServer
from tests.browser.doing import answers, ask, composer, send, wait_for_words, wait_until_done


def test_scripts_decide_what_is_said_and_how_it_ends(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    assert ask(page, "Good morning.") == "You said: Good morning."
    assert ask(page, "#say A *bird*.") == "A bird."
    send(page, "#hang #say Never over")
    assert wait_for_words(page, 10) == "Never over"
    composer(page).press("Escape")
    wait_until_done(page)
    assert ask(page, "Go on. #paragraphs=3 #cut").count("Paragraph") == 3
    expect(answers(page).last.get_by_role("button", name="Continue")).to_be_visible()
    send(page, "#crash #say Half")
    expect(answers(page).last).to_contain_text("The engine process was killed by its script.")
    answers(page).last.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    wait_until_done(page)
    expect(answers(page)).to_have_count(5)
    page.reload()
    expect(answers(page)).to_have_count(5)
    expect(answers(page).last.locator(".prose")).to_have_text("Half")
