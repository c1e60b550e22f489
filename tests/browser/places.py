"""Every page, menu and dialog of the application, as a table: what looks at all of them walks through it.

A place is reached in any language: `say` gives the words that the page shows there. Whoever adds a page or a dialog
adds a row, and its words, colours, layout and accessibility are looked at with all the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from playwright.sync_api import Page, expect

from myna.server.web import STATIC
from tests.browser.doing import chat_id

ASKED = "#say A bird is a *warm-blooded* animal.\n\n1. It sings.\n2. It flies.\n\n```python\nprint('bird')\n```"

DRAWINGS = (
    "#think=birds #say Euler: $e^{i\\pi} + 1 = 0$, and $\\broken{$.\n\n$$\n\\int_0^1 x^2\\,dx\n$$\n\n"
    "```mermaid\nflowchart LR\n  A[Ask] --> B[Answer]\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\nA note[^1].\n\n- [x] done\n\n[^1]: At the end."
)

ENDLESS = "#hang #say A bird sings."
"""An answer that is being written as long as one looks."""

Who = Literal["local", "owner", "nobody"]
"""Whose browser it is: that of a server without accounts, of a signed-in owner, or of somebody not signed in."""


@dataclass(frozen=True)
class Place:
    """Somewhere to look at.

    Attributes:
        name: for people.
        path: where the browser goes first.
        reach: what is done there, if anything.
        who: for whom it is there.
        shown_in: the place that shows all of it and more, where it is looked at again.
    """

    name: str
    path: str = "/"
    reach: Callable[[Page], Any] = lambda page: None
    who: Who = "local"
    shown_in: str = ""


def say(page: Page, key: str, *values: str | int) -> str:
    """The page's words for a key such as ``sidebar.newChat``, with values where they take some."""
    language = page.evaluate("document.documentElement.lang.split('-')[0]")
    files = [f"/assets/{file.name}" for file in STATIC.glob(f"assets/words-{language}-*.js")]
    return str(
        page.evaluate(
            """async ([files, path, values]) => {
              const parts = await Promise.all(files.map((file) => import(file)));
              const find = (words) => path.reduce((at, name) => at?.[name], words);
              const word = parts.map((part) => find(part.default)).find((found) => found !== undefined);
              return typeof word === "function" ? word(...values) : word;
            }""",
            [files, key.split("."), list(values)],
        )
    )


def press(page: Page, key: str, *values: str, role: Any = "button") -> None:
    """Click what has these words for its name."""
    page.get_by_role(role, name=say(page, key, *values), exact=True).first.click()


def converse(page: Page) -> None:
    """A question and its answer in a new chat."""
    page.get_by_role("textbox", name=say(page, "composer.label"), exact=True).fill(ASKED)
    press(page, "composer.send")
    chat_id(page)
    expect(page.locator("main section[aria-busy]")).to_have_attribute("aria-busy", "false")
    expect(page.locator("article .prose").last).to_contain_text("print")


def _in_conversation(key: str, role: Any = "dialog") -> Callable[[Page], None]:
    """What a button beside a message opens."""

    def reach(page: Page) -> None:
        converse(page)
        press(page, key)
        expect(page.get_by_role(role)).to_be_visible()

    return reach


def _edit(page: Page) -> None:
    converse(page)
    press(page, "message.edit")
    expect(page.get_by_role("textbox", name=say(page, "message.editLabel"), exact=True)).to_be_focused()


def _queue(page: Page) -> None:
    box = page.get_by_role("textbox", name=say(page, "composer.label"), exact=True)
    for text in (ENDLESS, "And a fish?"):
        box.fill(text)
        box.press("Enter")
        page.wait_for_url("**/chat/*")
    expect(page.get_by_role("button", name=say(page, "queue.withdraw"))).to_be_visible()


def _temporary_to_be(page: Page) -> None:
    press(page, "temporary.title", role="switch")
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "true")


def _temporary(page: Page) -> None:
    _temporary_to_be(page)
    page.get_by_role("textbox", name=say(page, "composer.label"), exact=True).fill(ASKED)
    press(page, "composer.send")
    expect(page.locator("article .prose").last).to_contain_text("print")


def _compare(page: Page) -> None:
    converse(page)
    press(page, "message.regenerate")
    expect(page.get_by_role("group", name=say(page, "message.branch", 2, 2))).to_be_visible()
    page.get_by_role("button", name=say(page, "editing.actions"), exact=True).last.click()
    press(page, "editing.compare", role="menuitem")
    expect(page.get_by_role("dialog")).to_be_visible()


def _tokens(page: Page) -> None:
    converse(page)
    press(page, "answer.tokens")
    page.get_by_role("listbox", name=say(page, "tokens.label")).get_by_role("option").nth(5).click()
    expect(page.get_by_role("group", name=say(page, "tokens.alternatives"))).to_be_visible()


def _paste(page: Page) -> None:
    page.get_by_role("textbox", name=say(page, "composer.label"), exact=True).evaluate(
        """field => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", "A bird sings.\\n".repeat(2000));
          field.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
        }"""
    )
    expect(page.get_by_role("group", name=say(page, "composer.pasted"))).to_be_visible()


def _drawings(page: Page) -> None:
    box = page.get_by_role("textbox", name=say(page, "composer.label"), exact=True)
    box.fill(DRAWINGS)
    box.press("Enter")
    page.wait_for_url("**/chat/*")
    expect(page.locator("figure.drawn")).to_be_visible()
    expect(page.locator(".katex").first).to_be_visible()
    page.locator(".reasoning button").click()


def _new_key(page: Page) -> None:
    press(page, "keys.make")
    page.get_by_label(say(page, "keys.name"), exact=True).fill("A key")


def _limits(page: Page) -> None:
    press(page, "people.limitsOf", "Bruno Keller")
    expect(page.get_by_role("dialog")).to_be_visible()


def _charts(page: Page) -> None:
    """Something has been used, which the server notes a moment later."""
    today = datetime.now(UTC).date().isoformat()
    counts = {"requests": 1, "prompt_tokens": 20, "completion_tokens": 9, "timed_tokens": 8, "timed_milliseconds": 90}
    used = {"day": today, "model": "scripted:chat", "user": {"id": "local", "name": None}, **counts}
    page.route("**/api/admin/usage?*", lambda route: route.fulfill(json={"sums": [used]}))
    page.reload()
    page.get_by_role("slider").first.focus()
    page.locator("summary").first.click()


def _invited(page: Page) -> None:
    """By a link that is good; it is never used."""
    found = {"state": "open", "role": "member", "name": "Mira", "expires_at": 2**42}
    page.route("**/api/invitations/look", lambda route: route.fulfill(json=found))
    page.goto("/join#secret")
    expect(page.locator("input[name=username]")).to_have_value("Mira")


def _opened(key: str) -> Callable[[Page], None]:
    def reach(page: Page) -> None:
        press(page, key)
        expect(page.get_by_role("dialog")).to_be_visible()

    return reach


def _continue(page: Page) -> None:
    page.locator("textarea").first.fill("Once upon a time")
    press(page, "playground.run")
    expect(page.get_by_text(say(page, "playground.ended.stop"))).to_be_visible()


def _side_by_side(page: Page) -> None:
    page.locator("textarea").fill(ASKED)
    press(page, "sideBySide.send")
    expect(page.get_by_text(say(page, "sideBySide.choose"), exact=True)).to_have_count(2)


def _licence(page: Page) -> None:
    page.locator("header [aria-haspopup=dialog]").first.click()
    page.get_by_role("button", name="Research").click()
    expect(page.locator("dialog")).to_be_visible()


def _account_menu(page: Page) -> None:
    page.locator("aside footer [aria-haspopup=menu]").click()
    expect(page.get_by_role("menu")).to_be_visible()


def _key(shortcut: str) -> Callable[[Page], None]:
    def reach(page: Page) -> None:
        page.keyboard.press(shortcut)
        expect(page.get_by_role("dialog")).to_be_visible()

    return reach


def _find(page: Page) -> None:
    press(page, "sidebar.find")
    expect(page.get_by_role("dialog")).to_be_visible()


def _in_sidebar(page: Page) -> None:
    if page.locator("aside[inert]").count():
        press(page, "sidebar.open")


def _new_project(page: Page) -> None:
    _in_sidebar(page)
    press(page, "projects.make")
    page.get_by_label(say(page, "projects.name"), exact=True).fill("Garden")


def _project(page: Page) -> None:
    _new_project(page)
    press(page, "projects.create")
    expect(page.get_by_role("heading", name="Garden")).to_be_visible()


def _chat_menu(page: Page) -> None:
    converse(page)
    _in_sidebar(page)
    page.locator("aside [data-chat] button[aria-haspopup=menu]").first.click(force=True)
    expect(page.get_by_role("menu")).to_be_visible()


def _selection(page: Page) -> None:
    _chat_menu(page)
    press(page, "chats.select", role="menuitem")
    expect(page.locator("aside input[type=checkbox]").first).to_be_checked()


def _moving(page: Page) -> None:
    _chat_menu(page)
    press(page, "chats.move", role="menuitem")
    expect(page.get_by_role("dialog")).to_be_visible()


def _archive(page: Page) -> None:
    converse(page)
    page.evaluate(
        """async () => {
          const headers = { "Content-Type": "application/json" };
          const body = JSON.stringify({ action: "archive", ids: [location.pathname.split("/")[2]] });
          await fetch("/api/chats/bulk", { method: "POST", headers, body });
        }"""
    )
    page.goto(page.url.split("/chat/")[0] + "/archive")
    expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()


def _found(page: Page) -> None:
    converse(page)
    _find(page)
    page.get_by_role("dialog").get_by_role("textbox").fill("warm-blooded")
    expect(page.get_by_role("dialog").locator("mark").first).to_be_visible()


PLACES = (
    Place("first screen", shown_in="model settings"),
    Place("long text pasted", reach=_paste),
    Place("conversation", reach=converse, shown_in="more for a message"),
    Place("answer's details", reach=_in_conversation("message.details")),
    Place("tokens and alternatives", reach=_tokens),
    Place("thought, formulas and a diagram", reach=_drawings),
    Place("deleting a message", reach=_in_conversation("message.remove")),
    Place("editing a message", reach=_edit),
    Place("more for a message", reach=_in_conversation("editing.actions", "menu")),
    Place("a message that waits", reach=_queue),
    Place("temporary chat", reach=_temporary),
    Place("temporary chat to be", reach=_temporary_to_be),
    Place("comparing versions", reach=_compare),
    Place("model menu", reach=_key("Control+Shift+M")),
    Place("models", path="/models", reach=lambda page: page.locator("summary").first.click()),
    Place("playground", path="/playground", reach=_continue),
    Place("comparing models", path="/compare"),
    Place("models side by side", path="/compare", reach=_side_by_side),
    Place("model settings", reach=_opened("models.settings")),
    Place("a licence", reach=_licence),
    Place("account menu without accounts", reach=_account_menu),
    Place("keyboard shortcuts", reach=_key("Control+/")),
    Place("command palette", reach=_key("Control+K")),
    Place("finding a chat", reach=_find),
    Place("what was found", reach=_found),
    Place("actions for a chat", reach=_chat_menu),
    Place("selected chats", reach=_selection),
    Place("moving a chat", reach=_moving),
    Place("new project", reach=_new_project),
    Place("project", reach=_project),
    Place("archive", reach=_archive),
    Place("empty archive", path="/archive", who="owner"),
    Place("missing chat", path="/chat/00000000-0000-7000-8000-000000000000"),
    Place("signing in", who="nobody"),
    Place("account menu", who="owner", reach=_account_menu),
    Place("account", path="/account", who="owner"),
    Place("own usage", path="/account/usage", who="owner"),
    Place("health", path="/admin"),
    Place("users", path="/admin/users", who="owner", shown_in="limits of a user"),
    Place("limits of a user", path="/admin/users", reach=_limits, who="owner"),
    Place("usage", path="/admin/usage", reach=_charts),
    Place("server's settings", path="/admin/options", who="owner"),
    Place("audit log", path="/admin/audit", who="owner", shown_in="removing old entries"),
    Place("removing old entries", path="/admin/audit", reach=_opened("audit.prune"), who="owner"),
    Place("profile without accounts", path="/account"),
    Place("security", path="/account/security", who="owner", shown_in="setting up a second factor"),
    Place("setting up a second factor", path="/account/security", reach=_opened("security.factor.setUp"), who="owner"),
    Place("sessions", path="/account/sessions", who="owner"),
    Place("own data", path="/account/data", who="owner", shown_in="deleting the account"),
    Place("deleting the account", path="/account/data", reach=_opened("security.data.removeButton"), who="owner"),
    Place("invitations", path="/admin/invitations", who="owner", shown_in="new invitation"),
    Place("new invitation", path="/admin/invitations", reach=_opened("security.invitations.make"), who="owner"),
    Place("an invitation's link", reach=_invited, who="nobody"),
    Place("API keys", path="/account/keys", who="owner", shown_in="new API key"),
    Place("new API key", path="/account/keys", reach=_new_key, who="owner"),
)
