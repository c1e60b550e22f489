"""Signing up by a link, signing in with two factors, choices that follow a person, and leaving."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MynaServer, Visit
from tests.browser.doing import composer
from tests.browser.people import (
    ANNA,
    FORBIDDEN,
    NOT_SIGNED_IN,
    PASSWORD,
    Owner,
    choose,
    choose_password,
    fill_in,
    signed_out,
)
from tests.browser.test_look import serious_problems
from tests.server.accounts.identity_provider import CLIENT, identity_provider

Open = Callable[..., Visit]
BY_NAME = "://localhost:"
"""The same server under the name that passkeys need."""
AT_THE_PROVIDER = ("another host: http://127.0.0.1", "fonts.googleapis.com")
"""Its own pages, and a font that they would like."""


@pytest.fixture(scope="module")
def owner(static: Path, default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    running = MynaServer(tmp_path_factory.mktemp("security"))
    running.start()
    yield Owner(running)
    running.stop()


@pytest.fixture
def stranger(visit: Open, owner: Owner) -> Callable[..., Page]:
    """A page in a browser of its own, in which nobody is signed in."""

    def open_one(path: str = "/", **options: object) -> Page:
        visiting = visit(owner.server, **options)
        visiting.watch.expected = (NOT_SIGNED_IN, FORBIDDEN, "WebSocket", "status of 400", BY_NAME)
        return visiting.page(path)

    return open_one


def test_a_link_makes_an_account_and_is_used_up(stranger: Callable[..., Page], owner: Owner) -> None:
    page = stranger("/admin/invitations")
    fill_in(page, ANNA)
    page.get_by_role("button", name="New invitation").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Mira")
    page.get_by_role("button", name="Create link").click()
    link = page.get_by_role("textbox", name="The link").input_value()
    assert re.fullmatch(re.escape(owner.server.url) + r"/join#[\w-]{43}", link)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("listitem").filter(has_text="Mira")).to_contain_text("Open")

    guest = stranger(link.removeprefix(owner.server.url))
    expect(guest.get_by_role("heading", name="Create your account")).to_be_visible()
    expect(guest).to_have_url(re.compile("^[^#]*$"))  # a glance at the address tells nothing
    expect(guest.get_by_label("Name", exact=True)).to_have_value("Mira")
    choose_password(guest, PASSWORD)
    guest.get_by_role("button", name="Create account").click()
    expect(composer(guest)).to_be_visible()
    expect(guest).to_have_url(f"{owner.server.url}/")

    late = stranger(link.removeprefix(owner.server.url))
    expect(late.get_by_text("This invitation was used already.")).to_be_visible()
    late.get_by_role("button", name="I have an account").click()
    expect(late.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    lost = stranger("/join#half-of-it")
    expect(lost.get_by_text("This invitation is not known")).to_be_visible()

    page.reload()
    expect(page.get_by_role("listitem").filter(has_text="Mira")).to_contain_text("Used")
    page.get_by_role("button", name="Delete: Mira").click()
    expect(page.get_by_text("There are no invitations.")).to_be_visible()


def test_a_second_factor_is_set_up_and_asked_for(stranger: Callable[..., Page], owner: Owner) -> None:
    owner.make("Nora")
    page = stranger("/account/security")
    fill_in(page, "Nora")
    page.get_by_role("button", name="Set up").click()
    dialog = page.get_by_role("dialog", name="Second factor")
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Next").click()
    picture = dialog.get_by_role("img").element_handle()
    page.wait_for_function("image => image.naturalWidth > 100", arg=picture)  # the policy lets it be drawn
    secret = dialog.locator("code").inner_text().replace(" ", "")
    dialog.get_by_label("Code").fill("000000")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog.get_by_role("alert")).to_contain_text("not right")
    dialog.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    dialog.get_by_role("button", name="Confirm").click()
    shown = page.get_by_role("dialog", name="Your recovery codes")
    expect(shown.get_by_role("listitem")).to_have_count(10)
    codes = shown.get_by_role("listitem").all_inner_texts()
    page.keyboard.press("Escape")
    expect(shown).to_be_visible()
    shown.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("Unused recovery codes: 10.")).to_be_visible()

    listed = [user["second_factor"] for user in owner.ask("GET", "/api/users")["users"] if user["name"] == "Nora"]
    assert listed == [True]
    elsewhere = stranger()
    fill_in(elsewhere, "Nora")
    code = elsewhere.get_by_label("Code")
    expect(code).to_be_focused()
    code.fill("123456")
    code.press("Enter")
    expect(elsewhere.get_by_role("alert")).to_contain_text("not right")
    expect(code).to_have_value("")
    code.fill(codes[0])
    code.press("Enter")
    expect(composer(elsewhere)).to_be_visible()

    page.get_by_role("button", name="Switch off").click()
    dialog = page.get_by_role("dialog", name="Switch off")
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    dialog.get_by_label("Code").fill(codes[1])
    dialog.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("Not set up.")).to_be_visible()


WITHOUT_JSON = """() => {
  delete PublicKeyCredential.parseRequestOptionsFromJSON;
  delete PublicKeyCredential.prototype.toJSON;
}"""
"""As browsers are that have passkeys and do not read the specification's JSON."""


def test_a_passkey_signs_in_without_a_password(stranger: Callable[..., Page], owner: Owner) -> None:
    owner.make("Vera")
    by_address = stranger("/account/security")
    fill_in(by_address, "Vera")
    there = by_address.get_by_role("link", name="http://localhost:")
    expect(there).to_be_visible()
    page = stranger(str(there.get_attribute("href")), bypass_csp=True)
    chrome = page.context.new_cdp_session(page)
    chrome.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    made = chrome.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "isUserVerified": True}})
    fill_in(page, "Vera")
    page.get_by_role("button", name="Add a passkey").click()
    dialog = page.get_by_role("dialog", name="Add a passkey")
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Continue").click()
    rows = page.get_by_role("list", name="Passkeys").get_by_role("listitem")
    expect(rows).to_contain_text("Chrome on Linux")
    rows.get_by_role("button", name="Rename").click()
    assert serious_problems(page) == []
    page.get_by_role("dialog").get_by_label("Name").fill("My laptop")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(rows).to_contain_text("My laptop")
    # Back where the dialog came from, whose work is done.
    expect(rows.get_by_role("button", name="Rename")).to_be_focused()

    enter = page.get_by_role("button", name="Sign in with a passkey")
    for prepare in ("() => undefined", WITHOUT_JSON):
        choose(page, "Sign out")
        expect(enter).to_be_visible()
        page.evaluate(prepare)
        enter.click()
        expect(composer(page)).to_be_visible()
        expect(page.get_by_role("button", name="Vera: account and more")).to_be_visible()

    choose(page, "Sign out")
    verified = {"authenticatorId": made["authenticatorId"], "isUserVerified": False}
    chrome.send("WebAuthn.setUserVerified", verified)
    enter.click()
    expect(page.get_by_role("alert")).to_contain_text("It was cancelled")
    assert serious_problems(page) == []
    chrome.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": True})
    vera = next(user for user in owner.ask("GET", "/api/users")["users"] if user["name"] == "Vera")
    assert vera["passkeys"] == 1
    owner.ask("DELETE", f"/api/users/{vera['id']}/passkeys")
    enter.click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")


def test_who_has_lost_everything_is_let_in_by_an_owner(stranger: Callable[..., Page], owner: Owner) -> None:
    owner.make("Lena")
    hers = stranger("/account/security")
    fill_in(hers, "Lena")
    hers.get_by_role("button", name="Set up").click()
    hers.get_by_role("dialog").get_by_label("Password", exact=True).fill(PASSWORD)
    hers.get_by_role("button", name="Next").click()
    secret = hers.get_by_role("dialog").locator("code").inner_text().replace(" ", "")
    hers.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    hers.get_by_role("button", name="Confirm").click()
    hers.get_by_role("button", name="I have kept them").click()

    page = stranger("/admin/users")
    fill_in(page, ANNA)
    page.get_by_role("button", name="Actions for Lena").click()
    page.get_by_role("menuitem", name="Reset second factor").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    again = stranger()
    expect(hers.get_by_role("dialog", name="You were signed out")).to_be_visible()
    fill_in(again, "Lena")
    expect(composer(again)).to_be_visible()


def test_choices_follow_their_person(stranger: Callable[..., Page], owner: Owner) -> None:
    owner.make("Olga")
    page, other = stranger("/account"), stranger("/account")
    for each in (page, other):
        fill_in(each, "Olga")
    typed = page.get_by_role("textbox", name="Custom instructions")
    typed.fill("Answer in one sentence.")
    page.get_by_role("button", name="Save").click()
    expect(other.get_by_role("textbox", name="Custom instructions")).to_have_value("Answer in one sentence.")
    other.get_by_role("textbox", name="Custom instructions").fill("Mine")
    typed.fill("Answer in verse.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.").first).to_be_visible()
    expect(other.get_by_role("alert").filter(has_text="changed in another tab")).to_be_visible()
    expect(other.get_by_role("textbox", name="Custom instructions")).to_have_value("Mine")
    other.get_by_role("button", name="Show what is stored").click()
    expect(other.get_by_role("textbox", name="Custom instructions")).to_have_value("Answer in verse.")
    page.get_by_role("main").get_by_role("radio", name="Dark").check(force=True)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_label("Use these in every browser").check()
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")

    other.goto(owner.server.url)
    expect(other.get_by_role("heading", level=1, name=re.compile("Olga"))).to_be_visible()
    page.get_by_role("textbox", name="What Myna calls you").fill("Olya")
    page.get_by_role("button", name="Save").click()
    expect(other.get_by_role("heading", level=1, name=re.compile("Olya"))).to_be_visible()


def test_a_person_takes_everything_along_and_leaves(
    stranger: Callable[..., Page], owner: Owner, tmp_path: Path
) -> None:
    owner.make("Paula")
    page = stranger("/account/data")
    fill_in(page, "Paula")
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download my data").click()
    begun.value.save_as(tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert json.loads(archive.read("account.json"))["name"] == "Paula"
    page.get_by_role("button", name="Delete my account").click()
    dialog = page.get_by_role("dialog", name="Delete your account?")
    dialog.get_by_label("Password", exact=True).fill("not this one")
    dialog.get_by_role("button", name="Delete everything").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The password is wrong")
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Delete everything").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "Paula" not in [user["name"] for user in owner.ask("GET", "/api/users")["users"]]


def test_where_everybody_needs_one_it_is_set_up_at_the_door(stranger: Callable[..., Page], owner: Owner) -> None:
    owner.make("Rita")
    owner.ask("PATCH", "/api/admin/options", require_second_factor=True)  # which ends this session too
    page = stranger()
    fill_in(page, "Rita")
    expect(page.get_by_text("This server asks everybody for a second factor.")).to_be_visible()
    page.get_by_label("Code").fill(pyotp.TOTP(page.locator("code").inner_text().replace(" ", "")).now())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    expect(page.get_by_text("Each lets you in once")).to_be_focused()
    expect(page.get_by_role("list", name="Your recovery codes").get_by_role("listitem")).to_have_count(10)
    page.get_by_role("button", name="I have kept them").click()
    expect(composer(page)).to_be_visible()


@pytest.fixture(scope="module")
def linked(static: Path, default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """An owner whose server knows an identity provider, a real one."""
    with identity_provider(tmp_path_factory.mktemp("identity")) as issuer:
        settings = {f"MYNA_{name.upper()}": value for name, value in CLIENT.items()}
        running = MynaServer(tmp_path_factory.mktemp("linked"), MYNA_OIDC_ISSUER=issuer, **settings)
        running.start()
        yield Owner(running)
        running.stop()


def at_the_provider(page: Page, name: str) -> None:
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.get_by_role("button", name="Continue").click()


def test_an_identity_provider_lets_people_in(visit: Open, linked: Owner) -> None:
    visiting = visit(linked.server)
    visiting.context.route("https://fonts.googleapis.com/**", lambda route: route.fulfill(body=""))
    visiting.watch.expected = (NOT_SIGNED_IN, FORBIDDEN, "WebSocket", *AT_THE_PROVIDER)
    page = visiting.page()
    page.get_by_role("button", name="Sign in with Home").click()
    at_the_provider(page, "bob")
    expect(page.get_by_role("alert")).to_contain_text("Ask for an invitation")
    expect(page).not_to_have_url(re.compile("code="))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Sign in with Home")).to_be_visible()
    page.goto("/sign-in/provider")  # as reloaded: nothing was refused
    expect(page.get_by_role("button", name="Sign in with Home")).to_be_visible()

    made = linked.ask("POST", "/api/invitations", expires_at=int(time.time() + 600) * 1000)
    page.goto(f"/join#{made['secret']}")
    page.get_by_role("button", name="Sign in with Home").click()
    page.get_by_role("button", name="Continue").click()  # the provider knows him by now
    expect(composer(page)).to_be_visible()
    expect(page).to_have_url(f"{linked.server.url}/")
    page.reload()
    expect(page.get_by_role("button", name="bob: account and more")).to_be_visible()

    # He has no password to confirm anything with: to have signed in a moment ago stands for it.
    page.goto("/account/security")
    expect(page.get_by_text("this is the only way in")).to_be_visible()
    expect(page.get_by_role("heading", name="Password")).to_have_count(0)
    page.goto("/account/data")
    needs = "**/api/account/confirmation"
    page.route(needs, lambda route: route.fulfill(json={"password": False, "code": False, "seconds_left": 0}))
    page.get_by_role("button", name="Delete my account").click()
    page.get_by_role("dialog", name="Delete your account?").get_by_role("button", name="Sign in again").click()
    page.unroute(needs)
    signed_out(page).get_by_role("button", name="Sign in with Home").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Delete my account").click()
    dialog = page.get_by_role("dialog", name="Delete your account?")
    expect(dialog.get_by_label("Password", exact=True)).to_have_count(0)
    dialog.get_by_role("button", name="Delete everything").click()
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    assert "bob" not in [user["name"] for user in linked.ask("GET", "/api/users")["users"]]


def test_an_account_is_linked_by_whoever_is_signed_in_to_it(visit: Open, linked: Owner) -> None:
    visiting = visit(linked.server)
    visiting.context.route("https://fonts.googleapis.com/**", lambda route: route.fulfill(body=""))
    visiting.watch.expected = (NOT_SIGNED_IN, "WebSocket", *AT_THE_PROVIDER)
    page = visiting.page("/account/security")
    fill_in(page, ANNA)
    page.get_by_role("button", name="Link", exact=True).click()
    dialog = page.get_by_role("dialog", name="Link with Home")
    expect(dialog.get_by_label("Password", exact=True)).to_be_focused()
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Link", exact=True).click()
    at_the_provider(page, "anna")
    expect(page.get_by_text("Linked with anna.")).to_be_visible()
    page.get_by_role("button", name="Anna Lindgren: account and more").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_role("button", name="Sign in with Home").click()
    page.get_by_role("button", name="Continue").click()
    expect(composer(page)).to_be_visible()
    expect(page.get_by_role("button", name="Anna Lindgren: account and more")).to_be_visible()
    page.goto("/account/security")
    page.get_by_role("button", name="Unlink", exact=True).click()
    expect(page.get_by_role("button", name="Link", exact=True)).to_be_focused()
