"""What people do with their account: password, sessions, API keys, and for those who manage them, users."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import ANSWER_SECONDS, MynaServer, Visit
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
    password_in,
    sign_in,
    signed_out,
)
from tests.browser.test_look import PHONE, SMALLEST_TARGET, serious_problems

Open = Callable[..., Visit]
OTHER_PASSWORD = "drei kleine Schnecken"


@pytest.fixture(scope="module")
def owner(static: Path, default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    running = MynaServer(tmp_path_factory.mktemp("accounts"))
    running.start()
    yield Owner(running)
    running.stop()


@pytest.fixture
def visit_as(visit: Open, owner: Owner) -> Callable[..., Page]:
    """A page of somebody who has signed in, in a browser of their own."""

    def open_as(name: str, path: str = "/", *, password: str = PASSWORD, **options: object) -> Page:
        visiting = visit(owner.server, **options)
        visiting.watch.expected = (NOT_SIGNED_IN, FORBIDDEN, "WebSocket")
        page = visiting.page(path)
        sign_in(page, name, password)
        return page

    return open_as


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("main").get_by_role("listitem").filter(has_text=name)


def status_with(owner: Owner, key: str, method: str = "GET", path: str = "/v1/models", **body: object) -> int:
    request = urllib.request.Request(
        owner.server.url + path,
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_changing_the_password_ends_other_sessions(visit_as: Callable[..., Page], owner: Owner) -> None:
    owner.make("Gerda")
    page, elsewhere = visit_as("Gerda", "/account/security"), visit_as("Gerda")
    page.get_by_label("Password so far").fill("not this one")
    choose_password(page, OTHER_PASSWORD)
    submit = page.get_by_role("button", name="Change password")
    submit.click()
    expect(page.get_by_role("main").get_by_role("alert").filter(has_text="password")).to_be_visible()
    expect(signed_out(page)).to_have_count(0)
    page.get_by_label("Password so far").fill(PASSWORD)
    submit.click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    expect(page.get_by_label("Password so far")).to_have_value("")
    expect(page.get_by_label("New password", exact=True)).to_have_value("")
    expect(signed_out(elsewhere)).to_be_visible()
    fill_in(elsewhere, "Gerda")
    expect(signed_out(elsewhere).get_by_role("alert")).to_contain_text("do not belong together")
    fill_in(elsewhere, "Gerda", OTHER_PASSWORD)
    expect(signed_out(elsewhere)).to_have_count(0)


def test_other_browsers_are_signed_out_one_by_one_or_all(visit_as: Callable[..., Page], owner: Owner) -> None:
    owner.make("Hugo")
    page = visit_as("Hugo")
    first, second = visit_as("Hugo"), visit_as("Hugo")
    choose(page, "Account")
    page.get_by_role("link", name="Sessions", exact=True).click()
    rows = row(page, "Chrome on Linux")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("This browser")
    expect(rows.first.get_by_role("button")).to_have_count(0)
    rows.nth(1).get_by_role("button", name="Sign out Chrome on Linux").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Sign out all others").click()
    expect(rows).to_have_count(1)
    expect(page.get_by_role("button", name="Sign out all others")).to_have_count(0)
    for other in (first, second):
        expect(signed_out(other)).to_be_visible()
    expect(signed_out(page)).to_have_count(0)


def test_a_key_is_shown_once_works_and_is_revoked(visit_as: Callable[..., Page], owner: Owner) -> None:
    owner.make("Ines")
    page = visit_as("Ines")
    choose(page, "API keys")
    expect(page.get_by_text("You have no keys.")).to_be_visible()
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog", name="New key")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    dialog.get_by_label("Name", exact=True).fill("Laptop <b>")
    dialog.get_by_role("radio", name="Read").check()
    dialog.get_by_label("Expires").select_option("In 30 days")
    dialog.get_by_text("Limits").click()
    dialog.get_by_label("Requests a minute").fill("many")
    dialog.get_by_role("button", name="Create key").click()
    expect(dialog.get_by_role("alert")).to_contain_text("whole numbers")
    dialog.get_by_label("Requests a minute").fill("50")
    dialog.get_by_role("button", name="Create key").click()

    shown = page.get_by_role("dialog", name="Your new key")
    secret = password_in(shown)
    page.keyboard.press("Escape")
    page.mouse.click(5, 5)
    expect(shown).to_be_visible()
    shown.get_by_role("button", name="Copy key").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    shown.get_by_role("button", name="Done").click()
    expect(shown).to_have_count(0)
    assert secret not in page.content()
    for told in ("Laptop <b>", "Read", secret[:8], "expires", "50 requests a minute"):
        expect(row(page, "Laptop")).to_contain_text(told)

    assert status_with(owner, secret) == 200
    asked = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    assert status_with(owner, secret, "POST", "/v1/chat/completions", **asked) == 403
    page.reload()
    expect(row(page, "Laptop")).to_contain_text("last used")
    page.get_by_role("button", name="Revoke Laptop <b>").click()
    page.get_by_role("dialog", name="Revoke this key?").get_by_role("button", name="Cancel").click()
    assert status_with(owner, secret) == 200
    page.get_by_role("button", name="Revoke Laptop <b>").click()
    page.get_by_role("dialog", name="Revoke this key?").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("You have no keys.")).to_be_visible()
    assert status_with(owner, secret) == 401


def test_users_are_made_changed_and_deleted(visit_as: Callable[..., Page], owner: Owner) -> None:
    page = visit_as(ANNA)
    choose(page, "Administration")
    page.get_by_role("link", name="Users").click()
    expect(row(page, ANNA)).to_contain_text("Owner")
    expect(row(page, ANNA).get_by_role("button")).to_have_count(1)  # its limits
    page.get_by_role("button", name="New user").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Jonas")
    page.get_by_role("dialog").get_by_role("button", name="Create user").click()
    shown = page.get_by_role("dialog", name="A password for Jonas")
    first = password_in(shown)
    shown.get_by_role("button", name="Done").click()
    page.get_by_role("combobox", name="Role of Jonas").select_option("Admin")
    expect(page.get_by_text("Jonas is now Admin.")).to_be_visible()

    his = visit_as("Jonas", password=first)
    choose(his, "Administration")
    his.get_by_role("link", name="Users").click()
    expect(row(his, ANNA).get_by_role("combobox")).to_have_count(0)
    expect(his.get_by_role("button", name="New user")).to_be_visible()
    # Demoted while he looks at it.
    page.get_by_role("combobox", name="Role of Jonas").select_option("Member")
    expect(his.get_by_role("heading", name="Your role does not allow this")).to_be_visible()
    expect(his.get_by_text("Your role may have been changed")).to_be_visible()

    page.get_by_role("button", name="Actions for Jonas").click()
    page.get_by_role("menuitem", name="New password").click()
    page.get_by_role("dialog").get_by_role("button", name="Make it").click()
    second = password_in(page.get_by_role("dialog", name="A password for Jonas"))
    assert second != first
    page.get_by_role("button", name="Done").click()
    expect(signed_out(his)).to_be_visible()
    fill_in(his, "Jonas", second)
    expect(signed_out(his)).to_have_count(0)

    page.get_by_role("button", name="Actions for Jonas").click()
    page.get_by_role("menuitem", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(row(page, "Jonas")).to_contain_text("Disabled")
    expect(signed_out(his)).to_be_visible()
    page.get_by_role("button", name="Actions for Jonas").click()
    page.get_by_role("menuitem", name="Enable").click()
    expect(row(page, "Jonas")).not_to_contain_text("Disabled")
    page.get_by_role("button", name="Actions for Jonas").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog", name="Delete Jonas?").get_by_role("button", name="Delete").click()
    expect(row(page, "Jonas")).to_have_count(0)
    fill_in(his, "Jonas", second)
    expect(signed_out(his).get_by_role("alert")).to_contain_text("do not belong together")


def test_a_member_is_offered_only_what_members_may(visit_as: Callable[..., Page], owner: Owner) -> None:
    owner.make("Karla")
    page = visit_as("Karla")
    page.get_by_role("button", name="Karla: account and more").click()
    expect(page.get_by_role("menuitem")).to_have_text(["Account", "API keys", "Usage", "API reference", "Sign out"])
    page.keyboard.press("Escape")

    def with_one_to_fetch(route: Route) -> None:
        response = route.fetch()
        models = response.json()["models"]
        absent = models[0] | {"name": "parrot:1b", "title": "Parrot", "on_disk": False, "default": False}
        route.fulfill(response=response, json={"models": [*models, absent], "default": models[0]["name"]})

    page.route("**/api/models", with_one_to_fetch)
    page.reload()
    page.get_by_role("button", name="SmolLM2").click()
    menu = page.get_by_role("dialog", name="Choose a model")
    expect(menu.get_by_text("An owner or admin can download it.").first).to_be_visible()
    expect(menu.get_by_role("button", name="Download")).to_have_count(0)
    page.keyboard.press("Escape")
    page.goto("/account/users")  # where they were once
    expect(page).to_have_url(f"{owner.server.url}/admin/users")
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()
    choose(page, "API keys")
    expect(page.get_by_role("button", name="New key")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()
    page.goto("/docs")
    expect(page.get_by_role("heading", name="API reference")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Open, owner: Owner, scheme: str) -> None:
    visiting = visit(owner.server, color_scheme=scheme, bypass_csp=True)
    visiting.watch.expected = (NOT_SIGNED_IN,)
    page = visiting.page()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert serious_problems(page) == []
    fill_in(page, ANNA, "wrong wrong wrong")
    expect(page.get_by_role("alert")).not_to_be_empty()
    assert serious_problems(page) == []
    fill_in(page, ANNA)
    expect(composer(page)).to_be_visible()
    for section, heading in {
        "account": "Custom instructions",
        "account/security": "Second factor",
        "account/sessions": "Where you are signed in",
        "admin/invitations": "Invitations",
        "account/data": "Export",
        "account/keys": "API keys",
        "admin/users": "Users",
    }.items():
        page.goto(f"/{section}")
        expect(page.get_by_role("heading", name=heading, level=2)).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert serious_problems(page) == [], section
    page.get_by_role("button", name="New user").click()
    assert serious_problems(page) == []
    page.keyboard.press("Escape")
    page.goto("/account/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_text("Limits").click()
    assert serious_problems(page) == []
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill(f"axe {scheme}")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("button", name="Copy key")).to_be_visible()
    assert serious_problems(page) == []
    page.get_by_role("button", name="Done").click()
    visiting.context.clear_cookies()
    page.get_by_role("link", name="Sessions", exact=True).click()
    expect(signed_out(page)).to_be_visible()
    assert serious_problems(page) == []


def test_who_opens_the_reference_without_a_session_signs_in_first(visit_as: Callable[..., Page], owner: Owner) -> None:
    page = visit_as(ANNA, "/docs/application#get-api-users")
    expect(page).to_have_url(f"{owner.server.url}/docs/application#get-api-users")
    expect(page.get_by_role("heading", name="GET /api/users")).to_be_in_viewport()
    page.goto("/?then=//elsewhere.example/docs")
    expect(composer(page)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_reference(visit: Open, server: MynaServer, scheme: str) -> None:
    page = visit(server, color_scheme=scheme, bypass_csp=True).page("/docs")
    assert serious_problems(page) == []
    page.get_by_role("link", name="OpenAI", exact=True).first.click()
    expect(page.get_by_role("heading", name="OpenAI", level=1)).to_be_visible()
    assert serious_problems(page) == []
    page.get_by_role("navigation", name="Routes").get_by_role(
        "link", name="POST /v1/chat/completions", exact=True
    ).click()
    expect(page).to_have_url(f"{server.url}/docs/openai#post-v1-chat-completions")


def test_a_phone_has_all_of_it_within_reach(visit_as: Callable[..., Page], owner: Owner) -> None:
    page = visit_as(ANNA, "/admin/users", **PHONE)
    owner.make("A name that is so long that no row of a narrow screen has it")
    for section in ("account", "account/security", "account/keys", "admin/invitations", "admin/users"):
        page.goto(f"/{section}")
        expect(page.get_by_role("main").get_by_role("navigation")).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"], section
        small = page.evaluate(
            """least => [...document.querySelectorAll("main button, main a, main input:not(.sr-only), main select")]
              .filter((element) => element.checkVisibility())
              .map((element) => [element.outerHTML, (element.closest("label") ?? element).getBoundingClientRect()])
              .filter(([, box]) => box.width < least || box.height < least)
              .map(([html]) => html)""",
            SMALLEST_TARGET,
        )
        assert small == [], section
    page.goto("/docs/openai")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]


def test_the_account_pages_are_not_part_of_the_first_load(visit: Open, server: MynaServer) -> None:
    page = visit(server).context.new_page()
    loaded: list[str] = []
    page.on("request", lambda request: request.resource_type == "script" and loaded.append(request.url))
    page.goto("/")
    expect(composer(page)).to_be_visible()
    assert not [url for url in loaded if "Account" in url or "Entrance" in url or "SignIn" in url]
