"""Passkeys: made, signed in with, and taken away; and what an authenticator may not get away with."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from myna.settings import Settings
from myna.store.records import now
from myna.store.tables.accounts import passkey_challenges
from tests.server.accounts.authenticator import PRESENT, VERIFIED, Authenticator, encoded
from tests.server.people import PASSWORD, House, Person, house

ORIGIN = "http://localhost:8642"
OWN = "/api/account/passkeys"


async def at_localhost(home: House, name: str | None = None) -> Person:
    """A browser that reaches the server by a name, which passkeys need."""
    person = await home.stranger(host="localhost:8642", origin=ORIGIN)
    if name is not None:
        person.id = (await person.call("POST", "/api/session", {"name": name, "password": PASSWORD}, 200))["user"]["id"]
    return person


async def make(person: Person, name: str = "Phone", **lies: Any) -> Authenticator:
    authenticator = Authenticator(ORIGIN)
    options = (await person.call("POST", OWN, {"password": PASSWORD}, 200))["options"]
    body = {"name": name, "credential": authenticator.make(options, **lies)}
    await person.call("POST", f"{OWN}/finish", body, 201)
    return authenticator


async def sign_in(home: House, authenticator: Authenticator, expect: int = 200, **lies: Any) -> Any:
    """A browser where nobody is signed in; signed in, or why not."""
    person = await at_localhost(home)
    options = (await person.call("POST", "/api/passkeys", {}, 200))["options"]
    answer = await person.call(
        "POST", "/api/passkeys/finish", {"credential": authenticator.sign(options, **lies)}, expect
    )
    return person if expect == 200 else answer["error"]


@pytest.fixture
async def her(home: House, ann: Person) -> Person:
    return await at_localhost(home, "Ann")


async def test_a_passkey_is_made_and_signs_in_alone(home: House, ann: Person, her: Person) -> None:
    assert (await (await at_localhost(home)).call("GET", "/api/session"))["passkeys"]
    assert await her.status("POST", OWN, {}) == 400, "an open browser is not enough"
    assert await her.status("POST", OWN, {"password": "not this one"}) == 401
    authenticator = await make(her)
    (listed,) = (await her.call("GET", OWN, expect=200))["passkeys"]
    assert (listed["name"], listed["site"], listed["last_used_at"], listed["synced"]) == (
        "Phone",
        "localhost",
        None,
        False,
    )

    # It is two factors: where everybody needs one, nothing more is asked for.
    await ann.call("PATCH", "/api/admin/options", {"require_second_factor": True}, 200)
    back = await sign_in(home, authenticator)
    assert (await back.call("GET", "/api/session"))["user"]["id"] == ann.id
    assert (await back.call("GET", "/api/account/sessions"))["sessions"][0]["method"] == "passkey"
    (listed,) = (await back.call("GET", OWN))["passkeys"]
    assert listed["last_used_at"] is not None
    changed = await back.call("PATCH", f"{OWN}/{listed['id']}", {"name": "Old phone"}, 200)
    assert changed["name"] == "Old phone"
    assert (await back.call("GET", "/api/users"))["users"][0]["passkeys"] == 1

    await back.call("DELETE", f"{OWN}/{listed['id']}", expect=204)
    assert (await sign_in(home, authenticator, 401))["code"] == "wrong_passkey"
    told = (await back.call("GET", "/api/admin/audit"))["entries"]
    assert {"passkey.add", "passkey.rename", "passkey.remove"} <= {entry["action"] for entry in told}
    assert {"method": "passkey"}.items() <= next(e for e in told if e["action"] == "session.begin")["details"].items()
    assert told[0]["details"]["reason"] == "wrong_passkey"


async def test_what_was_asked_is_answered_once_in_that_browser_and_soon(
    home: House, her: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = await make(her)
    person, other = await at_localhost(home), await at_localhost(home)
    response = await person.http.post("/api/passkeys", json={})
    cookie = response.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "max-age=300"))
    signed = {"credential": authenticator.sign(response.json()["options"])}
    await other.call("POST", "/api/passkeys/finish", signed, 400)
    await other.call("POST", "/api/passkeys", {}, 200)
    await other.call("POST", "/api/passkeys/finish", signed, 401)
    token = person.http.cookies["myna_passkey"]
    await person.call("POST", "/api/passkeys/finish", signed, 200)
    again = {"cookie": f"myna_passkey={token}"}
    await (await at_localhost(home)).call("POST", "/api/passkeys/finish", signed, 400, headers=again)

    options = (await other.call("POST", "/api/passkeys", {}, 200))["options"]
    monkeypatch.setattr("myna.server.accounts.passkeys.now", lambda: now() + 301_000)
    await other.call("POST", "/api/passkeys/finish", {"credential": authenticator.sign(options)}, 400)


async def test_nobody_makes_a_passkey_for_another(home: House, ann: Person, her: Person) -> None:
    await home.invite(ann, "Ben")
    ben = await at_localhost(home, "Ben")
    options = (await her.call("POST", OWN, {"password": PASSWORD}, 200))["options"]
    body = {"name": "Mine", "credential": Authenticator(ORIGIN).make(options)}
    cookies = f"myna_session={ben.http.cookies['myna_session']}; myna_passkey={her.http.cookies['myna_passkey']}"
    await ben.call("POST", f"{OWN}/finish", body, 400, headers={"cookie": cookies})
    stranger = await at_localhost(home)  # what is asked to sign in makes nothing
    options = (await stranger.call("POST", "/api/passkeys", {}, 200))["options"]
    assert "user" not in options
    cookies = f"myna_session={ben.http.cookies['myna_session']}; myna_passkey={stranger.http.cookies['myna_passkey']}"
    await ben.call("POST", f"{OWN}/finish", body, 400, headers={"cookie": cookies})
    theirs = await make(her)
    options = (await ben.call("POST", OWN, {"password": PASSWORD}, 200))["options"]
    body = {"name": "Mine", "credential": Authenticator(ORIGIN).make(options, id=theirs.id)}
    await ben.call("POST", f"{OWN}/finish", body, 409)
    assert (await (await sign_in(home, theirs)).call("GET", "/api/session"))["user"]["id"] == ann.id


LIES: dict[str, dict[str, Any]] = {
    "another page": {"origin": "http://localhost:9999"},
    "another site": {"site": "evil.example"},
    "its user is not there": {"flags": VERIFIED},
    "its user is not verified": {"flags": PRESENT},
    "something else was asked": {"challenge": encoded(b"made up")},
}


@pytest.mark.parametrize(
    "lies",
    [
        *LIES.values(),
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"handle": b"somebody else"},
        {"handle": b""},
        {"type": "webauthn.create"},
    ],
)
async def test_an_authenticator_that_lies_lets_nobody_in(home: House, her: Person, lies: dict[str, Any]) -> None:
    authenticator = await make(her)
    assert (await sign_in(home, authenticator, 401, **lies))["code"] == "wrong_passkey"
    await sign_in(home, authenticator)


async def test_what_a_lying_authenticator_makes_is_not_kept(home: House, her: Person) -> None:
    made_up: list[Any] = [{}, {"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}, {"rawId": 7}]
    for lies in LIES.values():
        options = (await her.call("POST", OWN, {"password": PASSWORD}, 200))["options"]
        body = {"name": "Phone", "credential": Authenticator(ORIGIN).make(options, **lies)}
        assert (await her.call("POST", f"{OWN}/finish", body, 401))["error"]["code"] == "wrong_passkey"
    for credential in made_up:
        await her.call("POST", OWN, {"password": PASSWORD}, 200)
        await her.call("POST", f"{OWN}/finish", {"name": "Phone", "credential": credential}, 401)
        stranger = await at_localhost(home)
        await stranger.call("POST", "/api/passkeys", {}, 200)
        await stranger.call("POST", "/api/passkeys/finish", {"credential": credential}, 401)
    assert (await her.call("GET", OWN))["passkeys"] == []


async def test_a_copy_of_a_passkey_is_noticed(home: House, her: Person) -> None:
    authenticator = await make(her)
    for _ in range(2):
        await sign_in(home, authenticator)
    authenticator.uses = 0
    refused = await sign_in(home, authenticator, 401)
    assert "copy" in refused["message"]
    entries = (await her.call("GET", "/api/admin/audit"))["entries"]
    assert entries[0]["details"]["reason"] == "passkey_copied"
    authenticator.uses = 7
    await sign_in(home, authenticator)
    without = Authenticator(ORIGIN, counts=False)  # as those are that are on several devices
    options = (await her.call("POST", OWN, {"password": PASSWORD}, 200))["options"]
    await her.call("POST", f"{OWN}/finish", {"name": "Synced", "credential": without.make(options)}, 201)
    for _ in range(2):
        await sign_in(home, without)


async def test_who_manages_users_takes_away_what_was_lost(home: House, ann: Person, her: Person) -> None:
    await home.invite(ann, "Ben", "admin")
    ben = await at_localhost(home, "Ben")
    his, hers = await make(ben), await make(her)
    assert await ben.status("DELETE", f"/api/users/{ann.id}/passkeys") == 403
    assert await ann.status("DELETE", f"/api/users/{ann.id}/passkeys") == 403, "her own are in her account"
    await ann.call("DELETE", f"/api/users/{ben.id}/passkeys", expect=204)
    assert await ben.status("GET", "/api/chats") == 401
    await sign_in(home, his, 401)
    assert await ann.status("DELETE", f"/api/users/{ben.id}/passkeys") == 409
    his = await make(await at_localhost(home, "Ben"))
    await ann.call("PATCH", f"/api/users/{ben.id}", {"disabled": True}, 200)
    assert (await sign_in(home, his, 401))["code"] == "account_disabled"
    await sign_in(home, hers)


async def test_passkeys_need_a_name_and_a_connection_that_nobody_reads(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path, allowed_hosts=("chat.example",))) as home:
        await home.first()
        for host, origin, status in (
            ("127.0.0.1:8642", "http://127.0.0.1:8642", 403),
            ("chat.example", "http://chat.example", 403),
            ("evil.example", "https://evil.example", 403),
            ("chat.example", "https://chat.example", 200),
        ):
            person = await home.stranger(host=host, origin=origin)
            assert await person.status("POST", "/api/passkeys") == status, origin
        options = (await person.call("POST", "/api/passkeys", {}, 200))["options"]
        assert (options["rpId"], options["userVerification"]) == ("chat.example", "required")
        home.accounts.passkeys = False
        refused = await person.call("POST", "/api/passkeys", {}, 403)
        assert "myna[passkeys]" in refused["error"]["message"]
        assert not (await person.call("GET", "/api/session"))["passkeys"]


async def test_strangers_begin_slowly_and_fill_nothing(
    home: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myna.server.accounts.passkeys.MAX_ASKED", 5)
    stranger = await at_localhost(home)
    statuses = [await stranger.status("POST", "/api/passkeys") for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    async with home.accounts.database.read("") as scope:
        assert len(await scope.all(passkey_challenges.select())) == 5


async def test_passkeys_are_taken_along_by_name_alone(home: House, her: Person) -> None:
    authenticator = await make(her, "My phone")
    response = await her.http.get("/api/account/export")
    told = zipfile.ZipFile(io.BytesIO(response.content)).read("data/passkeys.jsonl").decode()
    assert "My phone" in told
    assert encoded(authenticator.id) not in told
    assert "public_key" not in told
    assert "credential" not in told
