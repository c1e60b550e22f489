"""Accounts at the door: the first one, signing in and out, and sessions that end in the middle of work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MynaServer, ScriptedServer, Visit
from tests.browser.doing import SHORT, SUM, answers, ask, chat_id, composer, questions, send, wait_until_done
from tests.browser.people import (
    ANNA,
    FORBIDDEN,
    NOT_SIGNED_IN,
    PASSWORD,
    Owner,
    account_menu,
    choose,
    choose_password,
    fill_in,
    sign_in,
    signed_out,
)
from tests.processes import environment, serving

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def owner(static: Path, default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    running = MynaServer(tmp_path_factory.mktemp("accounts"))
    running.start()
    yield Owner(running)
    running.stop()


@pytest.fixture
def anna(visit: Open, owner: Owner) -> Visit:
    """The owner's browser, in which sessions end."""
    visiting = visit(owner.server)
    visiting.watch.expected = (NOT_SIGNED_IN, "WebSocket")
    return visiting


def end_sessions_of(owner: Owner, user: str) -> None:
    """As an admin does it: a new password ends every session."""
    owner.ask("PATCH", f"/api/users/{user}", password=True)


def drafts_in(page: Page) -> list[str]:
    found: list[str] = page.evaluate("Object.keys(localStorage).filter((key) => /draft|outbox/.test(key))")
    return found


def test_one_person_protects_what_is_there(visit: Open, own_server: MynaServer) -> None:
    page = visit(own_server).page()
    ask(page, SHORT)
    choose(page, "Protect with an account")
    dialog = page.get_by_role("dialog", name="Protect with an account")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    dialog.get_by_label("Name", exact=True).fill(ANNA)
    create = dialog.get_by_role("button", name="Create account")
    choose_password(page, "Anna")
    expect(dialog.get_by_text("At least 10 characters.")).to_be_visible()
    expect(create).to_be_disabled()
    choose_password(page, "annalindgren")
    expect(dialog.get_by_text("Easy to guess")).to_be_visible()
    choose_password(page)
    expect(dialog.get_by_text("Good.")).to_be_visible()
    create.click()
    expect(dialog).to_have_count(0)
    expect(account_menu(page)).to_contain_text(ANNA)
    expect(questions(page)).to_have_count(1)

    # From now on another browser must sign in, and then finds the same chats.
    other = visit(own_server)
    other.watch.expected = (NOT_SIGNED_IN,)
    stranger = other.page(page.url)
    expect(stranger.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    assert SHORT not in stranger.content()
    fill_in(stranger, ANNA, "not the password")
    expect(stranger.get_by_role("alert")).to_contain_text("do not belong together")
    expect(stranger.get_by_label("Name", exact=True)).to_have_value(ANNA)
    sign_in(stranger, ANNA)
    expect(questions(stranger)).to_contain_text(SHORT)
    page.reload()
    expect(questions(page)).to_contain_text(SHORT)


def test_the_first_account_of_a_server_for_others_needs_the_token(
    visit: Open, static: Path, default_model: Path, tmp_path: Path
) -> None:
    with serving("--host", "0.0.0.0", "--no-browser", env=environment(tmp_path)) as server:
        link = re.search(r"http://\S+#setup=(\S+)", "".join(server.said))
        assert link
        visiting = visit(server)
        visiting.watch.expected = (NOT_SIGNED_IN, FORBIDDEN)
        page = visiting.page()
        expect(page.get_by_role("heading", name="Create the first account")).to_be_visible()
        page.get_by_label("Set-up token").fill("guessed")
        page.get_by_label("Name", exact=True).fill(ANNA)
        choose_password(page)
        page.get_by_role("button", name="Create account").click()
        expect(page.get_by_role("alert")).not_to_be_empty()
        page = visiting.page(link[0])
        expect(page.get_by_label("Set-up token")).to_have_value(link[1])
        expect(page).to_have_url(f"{server.url}/")
        page.get_by_label("Name", exact=True).fill(ANNA)
        choose_password(page)
        page.get_by_role("button", name="Create account").click()
        expect(composer(page)).to_be_visible()
        expect(account_menu(page)).to_contain_text(ANNA)


def test_signing_in_by_keyboard(anna: Visit) -> None:
    page = anna.page()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type(ANNA)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(composer(page)).to_be_focused()
    account_menu(page).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Account")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


def test_a_session_that_ends_in_the_middle_of_work_loses_nothing(anna: Visit, owner: Owner) -> None:
    user = owner.make("Carl")
    page = anna.page()
    sign_in(page, "Carl")
    ask(page, SHORT)
    composer(page).fill("half a thought")
    end_sessions_of(owner, user)
    expect(signed_out(page)).to_be_visible()
    expect(signed_out(page).get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(signed_out(page)).to_be_visible()
    again = str(owner.ask("PATCH", f"/api/users/{user}", password=True)["password"])
    fill_in(page, "Carl", again)
    expect(signed_out(page)).to_have_count(0)
    expect(composer(page)).to_have_value("half a thought")
    expect(answers(page)).to_have_count(1)
    assert "half a thought" not in ask(page, SUM)
    expect(questions(page)).to_have_count(2)


def test_an_answer_goes_on_while_its_reader_is_signed_out(visit: Open, own_scripted: ScriptedServer) -> None:
    owner = Owner(own_scripted)
    user = owner.make("Gerd")
    visiting = visit(own_scripted)
    visiting.watch.expected = (NOT_SIGNED_IN, "WebSocket")
    page = visiting.page()
    sign_in(page, "Gerd")
    feathers = " ".join(f"feather-{number}" for number in range(1, 31))
    send(page, f"#rate=20 #say {feathers}")
    expect(answers(page)).to_contain_text("feather-2")
    composer(page).fill("half a thought")
    again = str(owner.ask("PATCH", f"/api/users/{user}", password=True)["password"])
    expect(signed_out(page)).to_be_visible()
    fill_in(page, "Gerd", again)
    expect(signed_out(page)).to_have_count(0)
    wait_until_done(page)
    expect(answers(page).locator(".prose")).to_have_text(feathers)
    expect(composer(page)).to_have_value("half a thought")


def test_what_is_sent_without_a_session_goes_out_once_after_signing_in(anna: Visit) -> None:
    page = anna.page()
    sign_in(page, ANNA)
    ask(page, SHORT)
    anna.context.clear_cookies()
    send(page, SUM)
    expect(signed_out(page)).to_be_visible()
    expect(signed_out(page).get_by_label("Name", exact=True)).to_have_value(ANNA)
    fill_in(page, ANNA)
    expect(signed_out(page)).to_have_count(0)
    expect(answers(page)).to_have_count(2)
    wait_until_done(page)
    page.reload()
    expect(questions(page)).to_have_count(2)


def test_what_is_unsent_at_a_reload_waits_for_its_own_user(anna: Visit, owner: Owner) -> None:
    owner.make("Dora")
    page = anna.page()
    sign_in(page, ANNA)
    ask(page, SHORT)
    anna.context.clear_cookies()
    send(page, SUM)
    expect(signed_out(page)).to_be_visible()
    address = page.url
    page.reload()
    anna.watch.expected += ("status of 404",)
    sign_in(page, "Dora")
    expect(page.get_by_role("heading", name="This chat does not exist")).to_be_visible()
    assert SUM not in page.content()
    choose(page, "Sign out")
    sign_in(page, ANNA)
    page.goto(address)
    expect(questions(page)).to_have_count(2)
    wait_until_done(page)


def test_somebody_else_who_signs_in_finds_nothing_of_the_first(anna: Visit, owner: Owner) -> None:
    owner.make("Bo")
    page = anna.page()
    sign_in(page, ANNA)
    ask(page, "Where do mynas live?")
    chat = chat_id(page)
    composer(page).fill("a secret of Anna's")
    page.goto("/")
    composer(page).fill("another secret")
    anna.context.clear_cookies()
    page.get_by_role("link", name="Where do mynas live?").click()
    expect(signed_out(page)).to_be_visible()
    fill_in(page, "Bo")
    expect(account_menu(page)).to_contain_text("Bo")
    expect(page).to_have_url(f"{owner.server.url}/")
    expect(page.get_by_text("Your chats will be listed here.")).to_be_visible()
    expect(composer(page)).to_have_value("")
    assert "mynas" not in page.content()
    anna.watch.expected += ("status of 404",)
    page.goto(f"/chat/{chat}")
    expect(page.get_by_role("heading", name="This chat does not exist")).to_be_visible()

    page.goto("/")
    composer(page).fill("a thought of Bo's")
    choose(page, "Sign out")
    expect(page.get_by_role("dialog")).to_contain_text("was not sent")
    page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    sign_in(page, ANNA)
    expect(composer(page)).to_have_value("another secret")
    page.goto(f"/chat/{chat}")
    expect(composer(page)).to_have_value("a secret of Anna's")


def test_a_tab_that_slept_through_a_change_of_users_writes_nothing_into_the_others_account(
    anna: Visit, owner: Owner
) -> None:
    user = owner.make("Lena")
    page = anna.page()
    sign_in(page, ANNA)
    expect(composer(page)).to_be_visible()
    anna.context.add_cookies([{"name": "myna_session", "value": owner.session_of("Lena"), "url": owner.server.url}])
    send(page, "Only for Anna's account")
    expect(account_menu(page)).to_contain_text("Lena")
    expect(page.get_by_text("Your chats will be listed here.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Your chats will be listed here.")).to_be_visible()
    choose(page, "Sign out")
    sign_in(page, ANNA)
    expect(page.get_by_role("link", name="Only for Anna's account")).to_have_count(1)
    owner.ask("DELETE", f"/api/users/{user}")


def test_a_page_from_before_there_were_accounts_asks_who_it_is_now(visit: Open, own_server: MynaServer) -> None:
    visiting = visit(own_server)
    visiting.watch.expected = (NOT_SIGNED_IN, "WebSocket")
    page = visiting.page()
    composer(page).fill("typed before")
    Owner(own_server)
    expect(signed_out(page).get_by_label("Name", exact=True)).to_have_value("")
    fill_in(page, ANNA)
    expect(account_menu(page)).to_contain_text(ANNA)
    expect(composer(page)).to_have_value("typed before")
    ask(page, SHORT)
    expect(answers(page)).to_have_count(1)


def test_signing_out_leaves_nothing_typed_behind_and_reaches_every_tab(anna: Visit, owner: Owner) -> None:
    owner.make("Eva")
    page, other = anna.page(), anna.page()
    sign_in(page, "Eva")
    expect(composer(other)).to_be_visible()
    composer(other).fill("typed in the other tab")
    page.bring_to_front()
    composer(page).fill("typed here")
    choose(page, "Sign out")
    page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    for tab in (page, other):
        expect(tab.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    assert drafts_in(page) == []
    sign_in(page, "Eva")
    expect(composer(page)).to_have_value("")
    expect(composer(other)).to_be_visible()


def test_who_may_not_sign_in_any_more_is_told_so(anna: Visit, owner: Owner) -> None:
    user = owner.make("Finn")
    page = anna.page()
    sign_in(page, "Finn")
    owner.ask("PATCH", f"/api/users/{user}", disabled=True)
    expect(signed_out(page)).to_be_visible()
    fill_in(page, "Finn")
    expect(signed_out(page).get_by_role("alert")).to_contain_text("disabled")
    owner.ask("DELETE", f"/api/users/{user}")
    fill_in(page, "Finn")
    expect(signed_out(page).get_by_role("alert")).to_contain_text("do not belong together")
