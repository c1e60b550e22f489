"""The list of chats: finding, renaming, deleting, and the addresses of chats."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import MynaServer, ScriptedServer
from tests.browser.doing import SHORT, ask, chat_id, composer, questions


def open_menu(page: Page, title: str) -> None:
    page.get_by_role("link", name=title).hover()
    page.get_by_role("button", name=f"Actions for {title}").click()


def test_a_chat_is_renamed_in_place_and_in_every_tab(visit, own_server: MynaServer) -> None:
    same = visit(own_server)
    page, other = same.page(), same.page()
    page.bring_to_front()  # a tab behind another draws once a second, which is what each click would wait for
    expect(page.get_by_text("Your chats will be listed here.")).to_be_visible()
    ask(page, SHORT)
    open_menu(page, SHORT)
    page.get_by_role("menuitem", name="Rename").click()
    title = page.get_by_role("textbox", name="Chat title")
    expect(title).to_be_focused()
    title.fill("Cities")
    title.press("Enter")
    for tab in (page, other):
        expect(tab.get_by_role("link", name="Cities")).to_be_visible()
    expect(page).to_have_title(re.compile("Cities"))

    open_menu(page, "Cities")
    page.get_by_role("menuitem", name="Rename").click()
    title.fill("Something else")
    title.press("Escape")
    expect(title).to_have_count(0)
    expect(page.get_by_role("link", name="Cities")).to_be_visible()


def test_deleting_asks_first_and_leaves_the_chat(visit, server: MynaServer) -> None:
    page = visit(server).page()
    title = "Delete me."
    ask(page, title)
    deleted = chat_id(page)
    open_menu(page, title)
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name=title)).to_be_visible()
    open_menu(page, title)
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name=title)).to_have_count(0)
    expect(page).to_have_url(f"{server.url}/")
    assert deleted not in [chat["id"] for chat in server.get("/api/chats")["chats"]]


def test_an_unknown_chat_says_so(visit, server: MynaServer) -> None:
    visiting = visit(server)
    visiting.watch.expected = ("404", "400")
    for unknown in (str(uuid.uuid4()), "no-such-chat"):
        page = visiting.page(f"/chat/{unknown}")
        expect(page.get_by_role("heading", name="This chat does not exist")).to_be_visible()
        page.get_by_role("main").get_by_role("link", name="New chat").click()
        expect(composer(page)).to_be_visible()


def test_chats_are_found_by_title_and_listed_page_by_page(visit, own_scripted: ScriptedServer) -> None:
    page = visit(own_scripted).page()
    page.evaluate(
        """async () => {
          for (let index = 0; index < 70; index += 1) {
            const id = () => crypto.randomUUID();
            const chat = id();
            const run = { id: id(), message_id: id() };
            const message = { id: id(), parent_id: null, text: `Chat number ${index}` };
            await fetch(`/api/chats/${chat}/messages`, {
              method: "POST",
              headers: { "Content-Type": "application/json" },
              body: JSON.stringify({ message, run }),
            });
          }
        }"""
    )
    rows = page.get_by_role("navigation", name="Chats").get_by_role("link")
    expect(rows).to_have_count(70)
    expect(page.get_by_role("navigation", name="Chats").get_by_role("img", name="Answering")).to_have_count(0)
    page.reload()
    expect(rows).to_have_count(50)
    rows.last.scroll_into_view_if_needed()
    expect(rows).to_have_count(70)
    page.reload()
    expect(rows).to_have_count(50)  # the page is there and hears the keys
    page.get_by_role("button", name="Find a chat").click()
    expect(page.get_by_role("textbox", name="Search titles and messages")).to_be_focused()
    page.keyboard.type("chat number")
    found = page.get_by_role("list", name="Chats", exact=True).get_by_role("link")
    expect(found).to_have_count(20)

    # Enter opens what is found first, also where that is not here yet.
    def be_quick(route: Route) -> None:
        page.keyboard.press("Enter")
        route.continue_()

    page.route("**/api/search?*", be_quick)
    page.keyboard.insert_text(" 63")
    expect(questions(page)).to_contain_text("Chat number 63")

    # All of them are chosen, also while the rest of the list is on its way already.
    def choose_all(route: Route) -> None:
        page.get_by_role("button", name="Select all").click()
        route.continue_()

    page.route("**/api/chats?*before=*", choose_all)
    open_menu(page, "Chat number 69")
    page.get_by_role("menuitem", name="Select").click()
    page.get_by_role("checkbox", name="Select Chat number").last.scroll_into_view_if_needed()
    expect(page.get_by_role("region", name="Selected chats").get_by_text("70 selected")).to_be_visible()


def test_a_chat_is_saved_from_its_menu(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    ask(page, SHORT)
    scripted.ask("PATCH", f"/api/chats/{chat_id(page)}", {"title": "Notes: a/b"})
    open_menu(page, "Notes: a/b")
    with page.expect_download() as begun:
        page.get_by_role("menuitem", name="Save as Markdown").click()
    assert begun.value.suggested_filename == "Notes_ a_b.md"
    assert begun.value.path().read_text().startswith("# Notes: a/b\n")
    expect(page.get_by_role("menuitem")).to_have_count(0)
