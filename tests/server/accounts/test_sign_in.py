"""Signing in and out, the sessions of a user, and what stands in the way of guessing."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest

from myna.errors import EngineBusy
from myna.server.accounts import passwords
from myna.server.accounts.directory import IDLE_MS
from myna.server.accounts.throttle import Throttle, network_of
from myna.store.tables.accounts import sessions, users
from tests.patience import WAIT_SECONDS
from tests.server.people import PASSWORD, House, Person


async def test_the_cookie_is_out_of_scripts_and_other_sites_reach(home: House, ann: Person) -> None:
    response = await ann.http.post("/api/session", json={"name": "ann", "password": PASSWORD})
    cookie = response.headers["set-cookie"]
    assert re.match(r"myna_session=[\w-]{43};", cookie)
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert "secure" not in cookie.lower()
    behind = await home.stranger(origin="https://chat.example", host="chat.example")
    behind.http.headers["host"] = "127.0.0.1"
    behind.http.headers["origin"] = "https://127.0.0.1"
    response = await behind.http.post("/api/session", json={"name": "ann", "password": PASSWORD})
    assert response.status_code == 200, response.text
    assert "secure" in response.headers["set-cookie"].lower(), "a proxy speaks TLS before us"


async def test_who_signs_out_is_out(ann: Person) -> None:
    token = ann.http.cookies["myna_session"]
    response = await ann.http.request("DELETE", "/api/session", json={})
    assert response.status_code == 204
    assert 'myna_session=""' in response.headers["set-cookie"]
    refused = await ann.call("GET", "/api/chats", headers={"cookie": f"myna_session={token}"}, expect=401)
    assert refused["error"]["code"] == "not_signed_in"


@pytest.mark.parametrize("body", [{"name": "nobody", "password": PASSWORD}, {"name": "ann", "password": "wrong"}])
async def test_what_is_wrong_is_not_said(home: House, ann: Person, body: dict[str, str]) -> None:
    refused = await (await home.stranger()).call("POST", "/api/session", body, 401)
    assert refused["error"] == {
        "message": "Name and password do not belong together.",
        "type": "invalid_request_error",
        "param": None,
        "code": "wrong_password",
    }


@pytest.mark.parametrize("token", ["", "x", "\xff", "A" * 43, "a" * 5000])
async def test_a_made_up_cookie_is_nobodys(home: House, ann: Person, token: str) -> None:
    headers: Any = {"cookie": f"myna_session={token}".encode("latin-1")}
    assert (await (await home.stranger()).call("GET", "/api/chats", headers=headers))["error"][
        "code"
    ] == "not_signed_in"


async def test_a_page_is_not_used_by_somebody_else_than_it_believes(home: House, ann: Person) -> None:
    assert await ann.status("GET", "/api/chats", headers={"x-myna-user": ann.id}) == 200
    refused = await ann.call("GET", "/api/chats", headers={"x-myna-user": "user_1"}, expect=401)
    assert refused["error"]["code"] == "not_signed_in"
    begun = await ann.call("GET", "/api/session", headers={"x-myna-user": "user_1"}, expect=200)
    assert begun["user"] is None


async def test_who_opens_the_reference_is_led_to_sign_in_and_back(home: House, ann: Person) -> None:
    browser = await home.stranger(accept="text/html,*/*")
    for path, then in (("/docs", "/docs"), ("/docs/openai", "/docs/openai"), ("/docs/a%20b", "/docs/a%20b")):
        led = await browser.http.get(path)
        assert (led.status_code, led.headers["location"]) == (303, f"/?then={then}")
    assert await browser.status("GET", "/docsearch") in (404, 503), "the page, built or not"
    assert await browser.status("GET", "/v1/models") == 401
    assert await (await home.stranger()).status("GET", "/docs") == 401
    assert await ann.status("GET", "/docs", headers={"accept": "text/html"}) == 200


async def test_sessions_are_listed_and_ended(home: House, ann: Person) -> None:
    phone = await home.sign_in("Ann")
    phone.http.headers["user-agent"] = "Phone"
    found = (await ann.call("GET", "/api/account/sessions", expect=200))["sessions"]
    assert [one["current"] for one in found].count(True) == 1
    assert {one["address"] for one in found} == {"10.0.0.2", "10.0.0.3"}
    assert all(one["expires_at"] == one["last_used_at"] + IDLE_MS for one in found)
    assert not any("digest" in one or "token" in one for one in found)
    other = next(one for one in found if not one["current"])
    await ann.call("DELETE", f"/api/account/sessions/{other['id']}", expect=204)
    await ann.call("DELETE", f"/api/account/sessions/{other['id']}", expect=404)
    assert await phone.status("GET", "/api/chats") == 401
    again = [await home.sign_in("Ann") for _ in range(3)]
    await ann.call("DELETE", "/api/account/sessions", expect=204)
    assert [await one.status("GET", "/api/chats") for one in again] == [401, 401, 401]
    assert await ann.status("GET", "/api/chats") == 200


async def test_a_user_has_so_many_sessions_and_no_more(
    home: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myna.server.accounts.sign_in.MAX_SESSIONS", 3)
    for _ in range(3):
        latest = await home.sign_in("Ann")
    assert len((await latest.call("GET", "/api/account/sessions"))["sessions"]) == 3
    assert await ann.status("GET", "/api/chats") == 401


async def test_a_password_is_changed_by_who_knows_it(home: House, ann: Person) -> None:
    other = await home.sign_in("Ann")
    body = {"old": "not this one", "new": "another long one"}
    refused = await ann.call("POST", "/api/account/password", body, 401)
    assert refused["error"]["code"] == "wrong_own_password"
    refused = await ann.call("POST", "/api/account/password", {"old": PASSWORD, "new": "short"}, 400)
    assert refused["error"]["param"] == "new"
    await ann.call("POST", "/api/account/password", body | {"old": PASSWORD}, 204)
    assert await ann.status("GET", "/api/chats") == 200
    assert await other.status("GET", "/api/chats") == 401
    await home.sign_in("Ann", "another long one")


async def test_without_accounts_there_is_nothing_to_sign_in_to(home: House) -> None:
    somebody = await home.stranger()
    for method, path, body in (
        ("POST", "/api/session", {"name": "ann", "password": PASSWORD}),
        ("DELETE", "/api/session", None),
        ("POST", "/api/account/password", {"old": "x", "new": PASSWORD}),
        ("POST", "/api/account/keys", {"name": "script"}),
        ("POST", "/api/users", {"name": "Ben"}),
    ):
        assert await somebody.status(method, path, body) == 403, path
    assert (await somebody.call("GET", "/api/account/sessions"))["sessions"] == []


async def test_guesses_from_one_address_are_slowed_down_and_others_are_not(home: House, ann: Person) -> None:
    guesser = await home.stranger("192.0.2.9")
    answers = [
        await guesser.http.post("/api/session", json={"name": "ann", "password": f"guess {n}"}) for n in range(14)
    ]
    assert [answer.status_code for answer in answers[:10]] == [401] * 10
    assert answers[-1].status_code == 429
    assert answers[-1].json()["error"]["code"] == "too_many_attempts"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert await guesser.status("POST", "/api/session", {"name": "ann", "password": PASSWORD}) == 429
    await home.sign_in("Ann")


async def test_who_was_turned_away_untried_has_not_failed(
    home: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded, right = await home.stranger(), {"name": "ann", "password": PASSWORD}
    with monkeypatch.context() as crowd:
        crowd.setattr(passwords, "MAX_WAITING", 0)
        for _ in range(12):
            busy = await crowded.call("POST", "/api/session", right, 429)
            assert busy["error"]["code"] == "engine_busy"
    await crowded.call("POST", "/api/session", right, 200)


async def test_strangers_cannot_keep_an_owner_out_of_where_he_is_signed_in(home: House, ann: Person) -> None:
    for n in range(60):
        stranger = await home.stranger(f"198.51.100.{n}")
        code = await stranger.status("POST", "/api/session", {"name": "Ann", "password": "guess"})
    assert code == 429, "a name is slowed down from wherever it is tried"
    own = (await ann.call("GET", "/api/account/sessions"))["sessions"][0]["address"]
    at_home = await home.stranger(own)
    assert await at_home.status("POST", "/api/session", {"name": "Ann", "password": PASSWORD}) == 200


def test_waits_grow_to_their_bound_and_are_forgotten() -> None:
    now = 1000.0
    throttle = Throttle(free=2, longest=8, clock=lambda: now)
    assert [throttle.attempt("a") for _ in range(3)] == [0, 0, 1]
    waits = []
    for _ in range(6):
        wait = throttle.attempt("a")
        waits.append(wait)
        assert throttle.attempt("b") == 0 or len(waits) > 2, "each counts for itself"
        now += wait
        assert throttle.attempt("a") == 0, "whoever has waited gets his turn"
    assert waits == [1, 2, 4, 8, 8, 8]
    now += 10_000
    assert throttle.attempt("a") == 0


def test_success_takes_back_its_own_attempt_alone() -> None:
    throttle = Throttle(free=3, longest=60, clock=lambda: 0.0)
    for _ in range(2):
        throttle.attempt("a")
    for _ in range(10):
        assert throttle.attempt("a") == 0
        throttle.succeeded("a")
    assert throttle.attempt("a") == 0
    assert throttle.attempt("a") == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "testclient"),
    ],
)
def test_an_address_stands_for_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_uses_are_noted_after_a_while(home: House, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    later = 2_000_000_000_000
    monkeypatch.setattr("myna.server.accounts.service.now", lambda: later)
    found = (await ann.call("GET", "/api/account/sessions", expect=401))["error"]
    assert found["code"] == "not_signed_in", "it was not used for a month"
    monkeypatch.undo()
    soon = (await ann.call("GET", "/api/account/sessions"))["sessions"][0]["created_at"] + 120_000
    monkeypatch.setattr("myna.server.accounts.service.now", lambda: soon)
    assert (await ann.call("GET", "/api/account/sessions"))["sessions"][0]["last_used_at"] == soon
    await home.accounts.note_uses()
    async with home.app.state.database.read("local") as scope:
        row = await scope.first(scope.select(sessions))
        assert row is not None
        assert (row.last_used_at, row.expires_at) == (soon, soon + IDLE_MS)
        user = await scope.first(users.select())
    assert user is not None
    assert user.last_seen_at == soon


async def test_who_has_just_signed_in_was_seen(ann: Person) -> None:
    begun = (await ann.call("GET", "/api/account/sessions"))["sessions"][0]["created_at"]
    assert [user["last_seen_at"] for user in (await ann.call("GET", "/api/users"))["users"]] == [begun]


async def test_sessions_that_rest_for_long_are_removed(
    home: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myna.server.accounts.service.now", lambda: 2_000_000_000_000)
    await home.accounts.end_expired()
    assert home.accounts.directory.sessions == {}
    async with home.app.state.database.read("local") as scope:
        assert await scope.all(scope.select(sessions)) == []


async def test_so_many_wait_for_their_password_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    running, most, go = 0, 0, threading.Event()

    def slow(password: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        go.wait(WAIT_SECONDS)
        running -= 1
        return "hash"

    monkeypatch.setattr(passwords, "_hash", slow)
    kept = passwords.Passwords()
    waiting = [asyncio.create_task(kept.hash("password")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(EngineBusy):
        await kept.hash("one too many")
    go.set()
    assert await asyncio.gather(*waiting) == ["hash"] * 3
    assert most <= passwords.AT_ONCE
    assert await kept.hash("there is room again") == "hash"


async def test_a_password_is_kept_as_argon2id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    kept = await passwords.Passwords().hash("pässword of mine")
    assert kept.startswith("$argon2id$v=19$")
    assert await passwords.Passwords().matches("pa\u0308ssword of mine", kept), "however the accent is typed"
    assert not await passwords.Passwords().matches("pässword of yours", kept)
    assert not await passwords.Passwords().matches("pässword of mine", None)
    assert not await passwords.Passwords().matches("pässword of mine", "not a hash")


def test_the_parameters_are_those_of_the_rfc() -> None:
    from argon2.profiles import RFC_9106_LOW_MEMORY

    assert (RFC_9106_LOW_MEMORY.memory_cost, RFC_9106_LOW_MEMORY.time_cost, RFC_9106_LOW_MEMORY.parallelism) == (
        64 << 10,
        3,
        4,
    )
