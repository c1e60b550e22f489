"""Putting chats in order: pins, the archive, projects, many at once; and finding what was said."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import MynaServer
from tests.browser.doing import answers, ask, composer, questions

MAKE = """async (texts) => {
  const headers = { "Content-Type": "application/json" };
  const id = () => crypto.randomUUID();
  const ids = [];
  for (const text of texts) {
    const chat = id();
    const message = { id: id(), parent_id: null, text };
    const run = { id: id(), message_id: id() };
    const body = JSON.stringify({ message, run });
    const answer = await fetch(`/api/chats/${chat}/messages`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(await answer.text());
    ids.push(chat);
  }
  return ids;
}"""

MARKED = "[...(CSS.highlights.get('sought') ?? [])].map(String).join()"
"""What is marked of what was searched for."""


def make(page: Page, *texts: str) -> list[str]:
    """Chats with these first messages, which are their titles; the list hears of them."""
    ids: list[str] = page.evaluate(MAKE, list(texts))
    return ids


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("navigation", name="Chats").get_by_role("link", name=title, exact=True)


def choose(page: Page, title: str, item: str) -> None:
    row(page, title).hover()
    page.get_by_role("button", name=f"Actions for {title}", exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def section(page: Page, title: str) -> Locator:
    """What stands under a heading of the list."""
    return page.locator("nav section", has=page.get_by_role("heading", name=title, exact=True)).get_by_role("listitem")


def rest(page: Page) -> Locator:
    """What stands under the headings that tell a day: at midnight there are two of them."""
    dated = page.get_by_role("heading", name=re.compile("^(Today|Yesterday)$"))
    return page.locator("nav section", has=dated).get_by_role("listitem")


def test_pins_and_the_archive_in_two_tabs(visit, own_scripted: MynaServer) -> None:
    same = visit(own_scripted)
    page, other = same.page(), same.page()
    page.bring_to_front()
    attack = "<img src=x onerror=alert(1)>"
    make(page, "walnut", "hazel", attack)
    expect(row(page, attack)).to_be_visible()
    choose(page, "walnut", "Pin")
    for tab in (page, other):
        expect(section(tab, "Pinned")).to_have_text(["walnut"])
        expect(rest(tab)).to_have_text([attack, "hazel"])
    choose(page, "walnut", "Unpin")
    expect(page.get_by_role("heading", name="Pinned")).to_have_count(0)
    choose(page, "hazel", "Archive")
    for tab in (page, other):
        expect(row(tab, "hazel")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(other, "hazel")).to_be_visible()
    choose(page, "hazel", "Archive")
    page.get_by_role("button", name="More for the list of chats").click()
    page.get_by_role("menuitem", name="Archive").click()
    archived = page.get_by_role("main").get_by_role("list", name="Archive")
    expect(archived.get_by_role("link", name="hazel")).to_be_visible()
    page.reload()
    page.get_by_role("main").get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Nothing is archived.")).to_be_visible()
    expect(row(other, "hazel")).to_be_visible()


def test_a_project_has_its_chats_and_tells_the_model_what_it_says(visit, own_scripted: MynaServer) -> None:
    page = visit(own_scripted).page()
    make(page, "walnut")
    page.get_by_role("button", name="New project").click()
    page.get_by_role("textbox", name="Name").fill("Garden")
    page.get_by_role("textbox", name="Instructions").fill("Answer as a gardener.")
    page.get_by_role("button", name="Create project").click()
    main = page.get_by_role("main")
    expect(main.get_by_role("heading", name="Garden")).to_be_visible()
    expect(main.get_by_text("No chats yet.")).to_be_visible()
    choose(page, "walnut", "Move to project")
    page.get_by_role("dialog").get_by_role("button", name="Garden").click()
    expect(main.get_by_role("link", name="walnut")).to_be_visible()
    expect(row(page, "walnut")).to_have_count(0)  # it stands in its project

    main.get_by_role("button", name="New chat in this project").click()
    expect(main.get_by_text("In the project Garden")).to_be_visible()
    ask(page, "When to sow?")
    chats = {chat["title"]: chat for chat in own_scripted.get("/api/chats")["chats"]}
    (project,) = own_scripted.get("/api/projects")["projects"]
    assert {chat["project_id"] for chat in chats.values()} == {project["id"]}

    page.get_by_role("navigation", name="Chats").get_by_role("link", name="Garden").click()
    expect(page).to_have_url(f"{own_scripted.url}/projects/{project['id']}")
    page.reload()
    expect(main.get_by_text("Answer as a gardener.")).to_be_visible()
    expect(main.get_by_role("list", name="Chats of the project").get_by_role("listitem")).to_have_count(2)
    page.get_by_role("button", name="Actions for the project Garden").click()
    page.get_by_role("menuitem", name="Delete project").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(row(page, "walnut")).to_be_visible()  # its chats stay
    assert own_scripted.get("/api/projects")["projects"] == []


def test_a_list_of_projects_is_no_older_than_what_was_told(visit, own_scripted: MynaServer) -> None:
    visiting = visit(own_scripted)

    def answer_late(route: Route) -> None:
        page = route.request.frame.page
        listed = route.fetch()
        own_scripted.ask("POST", "/api/projects", {"id": str(uuid.uuid4()), "name": "Garden", "instructions": ""})
        make(page, "walnut")
        expect(row(page, "walnut")).to_be_visible()  # and so the project is known
        route.fulfill(response=listed)

    visiting.context.route("**/api/projects", answer_late, times=1)
    page = visiting.page()
    expect(page.get_by_role("navigation", name="Chats").get_by_role("link", name="Garden")).to_be_visible()


def test_a_notice_does_not_go_away_under_the_hand(visit, scripted: MynaServer) -> None:
    page = visit(scripted).page()
    page.clock.install()
    make(page, "a nut")
    choose(page, "a nut", "Archive")
    undo = page.get_by_role("button", name="Undo")
    undo.hover()
    page.clock.fast_forward(60_000)
    undo.click()
    expect(row(page, "a nut")).to_be_visible()
    choose(page, "a nut", "Archive")
    expect(undo).to_be_visible()
    page.clock.fast_forward(60_000)
    expect(undo).to_have_count(0)


def test_many_are_chosen_with_shift_and_changed_at_once(visit, own_scripted: MynaServer) -> None:
    page = visit(own_scripted).page()
    make(page, *(f"chat {number}" for number in range(6)))
    expect(row(page, "chat 5")).to_be_visible()
    choose(page, "chat 5", "Select")
    bar = page.get_by_role("region", name="Selected chats")
    expect(bar.get_by_text("1 selected")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Select chat 5")).to_be_focused()
    page.get_by_role("checkbox", name="Select chat 3").click(modifiers=["Shift"])
    expect(bar.get_by_text("3 selected")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Select chat 3")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Select chat 4")).to_be_checked()
    page.get_by_role("checkbox", name="Select chat 4").press("Space")
    expect(bar.get_by_text("2 selected")).to_be_visible()
    bar.get_by_role("button", name="Archive").click()
    expect(row(page, "chat 5")).to_have_count(0)
    expect(page.get_by_role("button", name="More for the list of chats")).to_be_focused()
    expect(rest(page)).to_have_text(["chat 4", "chat 2", "chat 1", "chat 0"])
    choose(page, "chat 0", "Select")
    bar.get_by_role("button", name="Select all").click()
    expect(bar.get_by_text("4 selected")).to_be_visible()
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Your chats will be listed here.")).to_be_visible()
    expect(bar).to_have_count(0)
    assert [chat["title"] for chat in own_scripted.get("/api/chats?archived=true")["chats"]] == ["chat 5", "chat 3"]


def test_what_was_said_is_found_and_opened_where_it_is(visit, own_scripted: MynaServer) -> None:
    page = visit(own_scripted).page()
    make(page, "Where does the Danube end?")
    page.goto(own_scripted.url)
    ask(page, "#say The 机器学习 begins here.")
    ask(page, "#lines=400")
    page.get_by_role("link", name="New chat").click()
    page.get_by_role("button", name="Find a chat").click()
    dialog = page.get_by_role("dialog", name="Search chats")
    field = dialog.get_by_role("textbox", name="Search titles and messages")
    expect(field).to_be_focused()
    field.fill("danube")
    expect(dialog.get_by_role("list", name="Chats").locator("mark")).to_have_text(["Danube"])
    field.fill("nothing like this")
    expect(dialog.get_by_text("Nothing has all of these words.")).to_be_visible()
    field.fill("学习")
    hits = dialog.get_by_role("list", name="Messages").get_by_role("link")
    expect(hits).to_have_count(2)  # what was asked and what was answered
    expect(hits.first.locator("mark")).to_have_text(["学习"])
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("list", name="Chats").get_by_role("link")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(hits.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    found = answers(page).filter(has_text="机器学习")
    expect(found).to_be_in_viewport()
    expect(page).to_have_url(re.compile("#"))
    # The words are marked in it, until Esc or a reload.
    page.wait_for_function(f"() => {MARKED} === '学习'")
    page.keyboard.press("Escape")
    page.wait_for_function(f"() => {MARKED} === ''")
    page.reload()
    expect(found).to_be_in_viewport()


def test_what_was_searched_for_is_in_sight_in_a_long_answer(visit, own_scripted: MynaServer) -> None:
    page = visit(own_scripted).page()
    ask(page, "#paragraphs=300")
    region = page.get_by_role("region", name="Conversation").element_handle()
    page.get_by_role("link", name="New chat").click()
    expect(answers(page)).to_have_count(0)
    region.evaluate("region => region.dispatchEvent(new Event('scroll'))")  # one that was on its way
    page.get_by_role("button", name="Find a chat").click()
    page.get_by_role("textbox", name="Search titles and messages").fill('"paragraph 180"')
    page.get_by_role("list", name="Messages").get_by_role("link").first.click()
    expect(answers(page).get_by_text("Paragraph 180 says")).to_be_in_viewport()
    page.wait_for_function(f"() => {MARKED} === 'Paragraph 180'")


def test_a_hit_on_another_branch_is_shown(visit, own_scripted: MynaServer) -> None:
    page = visit(own_scripted).page()
    ask(page, "#say first version")
    questions(page).first.hover()
    questions(page).first.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit message").fill("#say second version")
    page.get_by_role("main").locator("article").get_by_role("button", name="Send").click()
    expect(answers(page).filter(has_text="second version")).to_be_visible()
    page.get_by_role("button", name="Find a chat").click()
    page.get_by_role("textbox", name="Search titles and messages").fill("first version")
    hits = page.get_by_role("list", name="Messages").get_by_role("link")
    expect(hits).to_have_count(2)
    hits.first.click()
    expect(answers(page).filter(has_text="first version")).to_be_visible()


def test_an_unknown_project_says_so(visit, scripted: MynaServer) -> None:
    page = visit(scripted).page(f"/projects/{uuid.uuid4()}")
    expect(page.get_by_role("heading", name="This project does not exist")).to_be_visible()
    expect(composer(page)).to_have_count(0)
