"""People with accounts: what they do at the sign-in page, and one who makes users without a browser."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import ANSWER_SECONDS, MynaServer

PASSWORD = "vier gelbe Schnäbel"
ANNA = "Anna Lindgren"
NOT_SIGNED_IN = "status of 401"
FORBIDDEN = "status of 403"


class Owner:
    """The server's first account, through the API alone."""

    def __init__(self, server: MynaServer, name: str = ANNA) -> None:
        self.server = server
        self._cookie = ""
        self.ask("POST", "/api/setup", name=name, password=PASSWORD)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            self.server.url + path,
            method=method,
            data=None if method == "GET" else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Cookie": self._cookie},
        )
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            if cookie := response.headers["Set-Cookie"]:
                self._cookie = cookie.partition(";")[0]
            text = response.read()
        return json.loads(text) if text else None

    def session_of(self, name: str, password: str = PASSWORD) -> str:
        """The cookie that a browser would get, without signing out whoever had one."""
        body = json.dumps({"name": name, "password": password}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.server.url}/api/session", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            return str(response.headers["Set-Cookie"]).partition(";")[0].partition("=")[2]

    def make(self, name: str, role: str = "member") -> str:
        """A new user with the common password; gives the id."""
        return str(self.ask("POST", "/api/users", name=name, role=role, password=PASSWORD)["id"])


def fill_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """From the sign-in page to what the address says."""
    entrance = page.get_by_role("heading", name="Sign in", exact=True)
    expect(entrance).to_be_visible()
    fill_in(page, name, password)
    expect(entrance).to_have_count(0)


def choose_password(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_label("The same again").fill(password)


def account_menu(page: Page) -> Locator:
    """The button at the foot of the sidebar."""
    return page.get_by_role("button", name=re.compile("ccount and more"))


def choose(page: Page, entry: str) -> None:
    """An entry of the account menu."""
    account_menu(page).click()
    page.get_by_role("menuitem", name=entry).click()


def signed_out(page: Page) -> Locator:
    """The dialog over a page whose session ended."""
    return page.get_by_role("dialog", name="You were signed out")


def password_in(dialog: Locator) -> str:
    """A secret that is shown once."""
    return dialog.get_by_role("textbox").input_value()
