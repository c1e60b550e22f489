"""Those who run a server for others: what they see of it, what they decide, and what was done."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import ANSWER_SECONDS, ScriptedServer, Visit
from tests.browser.doing import until
from tests.browser.people import ANNA, FORBIDDEN, NOT_SIGNED_IN, PASSWORD, Owner

Open = Callable[..., Visit]
NONE = "\u2013"
TODAY = datetime.now(UTC).date()
NOON = datetime.combine(TODAY, time(12), UTC)
"""When pages believe that it is: midnight may pass while the tests run."""
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture(scope="module")
def owner(static: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """A server with two users, one of whom has used something."""
    running = ScriptedServer(tmp_path_factory.mktemp("administration"))
    running.start()
    owner = Owner(running)
    ben = owner.make("Ben")
    with closing(sqlite3.connect(running.data_dir / "myna.db", timeout=ANSWER_SECONDS)) as connection, connection:
        rows = [
            (ben, str(TODAY), "small", "", 3, 1000, 500, 400, 2000),
            (ben, str(YESTERDAY), "small", "", 1, 10, 20, 0, 0),
            ("local", str(TODAY), "large", "", 2, 40, 60, 50, 5000),
        ]
        connection.executemany("INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    yield owner
    running.stop()


@pytest.fixture
def visit_as(visit: Open, owner: Owner) -> Callable[..., Page]:
    """A page of somebody who is signed in already."""

    def open_as(name: str, path: str, **options: object) -> Page:
        visiting = visit(owner.server, **options)
        visiting.context.clock.set_fixed_time(NOON)
        visiting.watch.expected = (NOT_SIGNED_IN, FORBIDDEN, "WebSocket")
        cookie = {"name": "myna_session", "value": owner.session_of(name), "url": owner.server.url}
        visiting.context.add_cookies([cookie])
        return visiting.page(path)

    return open_as


def table(page: Page, name: str) -> list[list[str]]:
    region = page.get_by_role("region", name=name, exact=True)
    return [[cell.inner_text() for cell in row.locator("th, td").all()] for row in region.locator("tr").all()]


def entry(page: Page, *texts: str) -> Locator:
    found = page.get_by_role("list", name="Audit log").get_by_role("listitem")
    for text in texts:
        found = found.filter(has_text=text)
    return found


def test_charts_have_their_numbers_in_tables_and_under_the_arrow_keys(visit_as: Callable[..., Page]) -> None:
    page = visit_as(ANNA, "/admin/usage")
    page.get_by_role("combobox", name="Time").select_option("7 days")
    expect(page.get_by_role("slider")).to_have_count(3)
    for chart in page.get_by_role("slider").all():
        expect(chart).to_have_attribute("aria-valuemax", "6")
    for summary in page.locator("summary").all():
        summary.click()
    requests, tokens, speed = (table(page, name) for name in ("Requests", "Tokens", "Speed"))
    assert [row[1:] for row in requests] == [["Requests"], *[["0"]] * 5, ["1"], ["5"]]
    assert [row[1:] for row in tokens[-2:]] == [["10", "20"], ["1,040", "560"]]
    assert tokens[0] == ["Day", "Prompts", "Answers"]
    assert speed[0] == ["Day", "small", "large"]
    assert [row[1:] for row in speed[-2:]] == [[NONE, NONE], ["200 tokens/s", "10 tokens/s"]]
    assert table(page, "By model")[1:] == [
        ["small", "4", "1,010", "520", "200 tokens/s"],
        ["large", "2", "40", "60", "10 tokens/s"],
    ]
    assert table(page, "By user")[1][:2] == ["Ben", "4"]
    chart = page.get_by_role("slider", name="Tokens")
    expect(chart.locator("rect.bar")).to_have_count(4)
    chart.focus()
    expect(chart).to_have_attribute("aria-valuetext", f"{tokens[-1][0]} · Prompts: 1,040 · Answers: 560")
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuetext", f"{tokens[-2][0]} · Prompts: 10 · Answers: 20")
    page.keyboard.press("Home")
    expect(chart).to_have_attribute("aria-valuenow", "0")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    assert [(row["user"], row["model"], row["requests"]) for row in rows] == [
        ("Ben", "small", "1"),
        ("Ben", "small", "3"),
        (ANNA, "large", "2"),
    ]


def test_the_time_that_was_chosen_last_counts(visit_as: Callable[..., Page]) -> None:
    page = visit_as(ANNA, "/admin")
    held: list[Route] = []
    page.route(re.compile(r"/api/admin/usage\?"), lambda route: held.append(route), times=1)
    page.get_by_role("link", name="Usage", exact=True).click()
    until(page, lambda: held, bool)
    page.get_by_role("combobox", name="Time").select_option("7 days")
    expect(page.get_by_role("heading", name="By model")).to_be_visible()
    with page.expect_event("requestfinished", lambda request: request == held[0].request):
        held[0].fulfill(json={"sums": []})
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    expect(page.get_by_role("heading", name="By model")).to_be_visible()


def test_everybody_sees_his_own_usage(visit_as: Callable[..., Page], owner: Owner) -> None:
    page = visit_as("Ben", "/account/usage")
    expect(page.get_by_role("heading", name="By model")).to_be_visible()
    assert [row[0] for row in table(page, "By model")[1:]] == ["small"]
    assert table(page, "By key")[1][:2] == ["In the browser", "4"]
    owner.make("Idle")
    page = visit_as("Idle", "/account/usage")
    expect(page.get_by_text("Nothing was used in this time.")).to_be_visible()
    expect(page.get_by_role("slider")).to_have_count(0)


def test_users_are_found_and_limited(visit_as: Callable[..., Page], owner: Owner) -> None:
    for number in range(60):
        owner.make(f"Guest {number:02}")
    page = visit_as(ANNA, "/admin/users")
    users = page.get_by_role("list", name="Users").get_by_role("listitem")
    expect(users).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(users.filter(has_text="Guest 59")).to_have_count(1)
    page.get_by_label("Search users").fill("guest 1")
    expect(page.get_by_text("10 users")).to_be_visible()
    expect(users).to_have_count(10)
    page.get_by_label("Search users").fill("ben")
    expect(users).to_have_count(1)
    page.get_by_role("button", name="Limits of Ben").click()
    dialog = page.get_by_role("dialog", name="Limits of Ben")
    expect(dialog.get_by_text("For everybody: no limit")).to_have_count(3)
    dialog.get_by_label("Tokens a day").fill("many")
    expect(dialog.get_by_text("A limit is a whole number from 0.")).to_be_visible()
    dialog.get_by_label("Tokens a day").fill("9000")
    dialog.get_by_role("button", name="Save").click()
    expect(users.filter(has_text="of 9,000 tokens today")).to_have_count(1)
    page.get_by_label("Search users").fill("nobody at all")
    expect(page.get_by_text("Nobody is called so.")).to_be_visible()


def test_what_an_owner_decides_holds_and_is_written_down(visit_as: Callable[..., Page], owner: Owner) -> None:
    page = visit_as(ANNA, "/admin/options")
    page.get_by_label("Anybody", exact=True).check()
    page.get_by_label("Requests a minute").fill("500")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved")).to_be_visible()
    assert owner.ask("GET", "/api/admin/options")["sign_up"] == "open"
    page.reload()
    expect(page.get_by_label("Anybody", exact=True)).to_be_checked()
    expect(page.get_by_label("Requests a minute")).to_have_value("500")
    owner.ask("PATCH", "/api/admin/options", requests_per_minute=None)
    page.goto("/admin")
    expect(page.get_by_text("Anybody who reaches this server can make an account.")).to_be_visible()
    expect(page.get_by_text("SQLite")).to_be_visible()
    page.get_by_role("link", name="Audit log").click()
    expect(entry(page, "Settings changed", "invitation → open", ANNA)).to_have_count(1)


def test_the_audit_log_is_filtered_and_taken_along(visit_as: Callable[..., Page], owner: Owner) -> None:
    owner.make("@Mallory")
    page = visit_as(ANNA, "/admin/audit")
    expect(entry(page).first).to_contain_text("Signed in")
    page.get_by_label("What was done").select_option("Account made")
    page.get_by_label("Search").fill("mallory")
    expect(entry(page)).to_have_count(1)
    entry(page).get_by_role("button", name=ANNA).click()
    expect(page.get_by_role("button", name=f"By {ANNA}: Remove this filter")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as JSON lines").click()
    (line,) = Path(download.value.path()).read_text().splitlines()
    assert json.loads(line)["details"]["name"] == "@Mallory"
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("There is nothing of this kind.")).to_be_visible()


def test_members_see_none_of_it(visit_as: Callable[..., Page], owner: Owner) -> None:
    ada = owner.make("Ada", "admin")
    page = visit_as("Ada", "/admin/options")
    expect(page.get_by_text("Only an owner can change these.")).to_be_visible()
    expect(page.get_by_label("Anybody", exact=True)).to_be_disabled()
    page.goto("/admin/audit")
    expect(page.get_by_role("button", name="Remove old entries")).to_have_count(0)
    expect(entry(page).first).to_be_visible()
    owner.ask("PATCH", f"/api/users/{ada}", role="member")
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()
    assert PASSWORD not in page.content()
