"""Signing up: by a link that somebody else made, or by oneself where the owner lets everybody."""

# ruff: noqa: RUF001 (letters that look like others are what this is about)

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from myna.store import audit
from myna.store.audit import Filter
from myna.store.records import now
from tests.server.people import PASSWORD, House, Person

HOUR = 3_600_000


async def invite(by: Person, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = await by.call("POST", "/api/invitations", {"expires_at": now() + HOUR, **values}, 201)
    return made


async def join(home: House, secret: str | None, name: str, expect: int, address: str | None = None) -> Any:
    body = {"name": name, "password": PASSWORD} | ({} if secret is None else {"invitation": secret})
    person = await home.stranger(address)
    answer = await person.call("POST", "/api/sign-up", body, expect)
    return person if expect == 200 else answer["error"]


async def test_who_has_a_link_makes_an_account_of_its_role(home: House, ann: Person) -> None:
    made = await invite(ann, role="admin", name="Ben Bee")
    assert made["state"] == "open"
    looked = await (await home.stranger()).call("POST", "/api/invitations/look", {"secret": made["secret"]}, 200)
    assert looked == {"state": "open", "role": "admin", "name": "Ben Bee", "expires_at": made["expires_at"]}
    ben = await join(home, made["secret"], "Ben", 200)
    me = (await ben.call("GET", "/api/session", expect=200))["user"]
    assert (me["name"], me["role"]) == ("Ben", "admin")
    (listed,) = (await ann.call("GET", "/api/invitations", expect=200))["invitations"]
    assert (listed["state"], listed["uses"], listed["by"]) == ("used", 1, "Ann")
    assert made["secret"] not in str(listed)
    async with home.app.state.database.transaction() as transaction:
        (entry,) = await audit.entries(transaction, Filter(action="user.sign_up"))
    assert entry.actor_name == "Ben"
    assert entry.details == {"name": "Ben", "role": "admin", "invitation": made["id"]}


async def test_the_last_use_is_one_persons(home: House, ann: Person) -> None:
    secret = (await invite(ann, uses=3))["secret"]
    people = [await home.stranger() for _ in range(8)]
    answers = await asyncio.gather(
        *(
            person.status("POST", "/api/sign-up", {"name": f"Guest {n}", "password": PASSWORD, "invitation": secret})
            for n, person in enumerate(people, 2)
        )
    )
    assert sorted(answers) == [200] * 3 + [403] * 5
    assert len(home.accounts.directory.users) == 4


async def test_what_a_link_is_worth_no_more_is_told(home: House, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    used, expired, revoked = [await invite(ann) for _ in range(3)]
    await join(home, used["secret"], "Ben", 200)
    await ann.call("DELETE", f"/api/invitations/{revoked['id']}", expect=204)
    with monkeypatch.context() as later:
        later.setattr("myna.server.accounts.invitations.now", lambda: now() + 2 * HOUR)
        looked = await ann.call("POST", "/api/invitations/look", {"secret": expired["secret"]}, 200)
        assert looked["state"] == "expired"
        assert "expired" in (await join(home, expired["secret"], "Cem", 403))["message"]
    for one, state, word in ((used, "used", "used already"), (revoked, "revoked", "withdrawn")):
        assert (await ann.call("POST", "/api/invitations/look", {"secret": one["secret"]}, 200))["state"] == state
        assert word in (await join(home, one["secret"], "Cem", 403))["message"]
    assert (await join(home, "made up", "Cem", 400))["param"] == "invitation"
    await ann.call("DELETE", f"/api/invitations/{used['id']}", expect=204)
    assert used["id"] not in str(await ann.call("GET", "/api/invitations")), "what is over is deleted"
    assert len(home.accounts.directory.users) == 2


async def test_an_invitation_ends_with_the_rights_of_who_made_it(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben", "admin")
    made = await invite(ben, role="admin")
    await ben.call("POST", "/api/invitations", {"expires_at": now() + HOUR, "role": "owner"}, 403)
    await ann.call("PATCH", f"/api/users/{ben.id}", {"role": "member"}, 200)
    assert "withdrawn" in (await join(home, made["secret"], "Cem", 403))["message"]
    await ann.call("PATCH", f"/api/users/{ben.id}", {"role": "admin"}, 200)
    await ann.call("DELETE", f"/api/users/{ben.id}", expect=204)
    assert (await join(home, made["secret"], "Cem", 400))["param"] == "invitation"


async def test_members_invite_nobody_and_admins_no_owners(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    owner = await invite(ann, role="owner")
    for method, path in (
        ("GET", "/api/invitations"),
        ("POST", "/api/invitations"),
        ("DELETE", f"/api/invitations/{owner['id']}"),
    ):
        assert await ben.status(method, path, {"expires_at": now() + HOUR}) == 403
    cem = await home.invite(ann, "Cem", "admin")
    assert await cem.status("DELETE", f"/api/invitations/{owner['id']}") == 403
    assert await (await home.key_of(ann)).status("POST", "/api/invitations", {"expires_at": now() + HOUR}) == 403


@pytest.mark.parametrize(
    "values", [{"expires_at": 1}, {"expires_at": 2**52}, {"uses": 0}, {"uses": 1001}, {"role": "king"}, {"name": "<b>"}]
)
async def test_invitations_that_make_no_sense(ann: Person, values: dict[str, Any]) -> None:
    await ann.call("POST", "/api/invitations", {"expires_at": now() + HOUR, **values}, 400)


async def test_strangers_sign_up_where_the_owner_lets_them_and_as_members(home: House, ann: Person) -> None:
    assert "invitation" in (await join(home, None, "Ben", 403))["message"]
    await ann.call("PATCH", "/api/admin/options", {"sign_up": "open"}, 200)
    ben = await join(home, None, "Ben", 200)
    assert (await ben.call("GET", "/api/session"))["user"]["role"] == "member"
    for name in ("Ann", "ÁNN", "A.n.n", "Аnn"):
        refused = (
            await (await home.stranger()).http.post("/api/sign-up", json={"name": name, "password": PASSWORD})
        ).json()
        assert refused["error"]["param"] == "name", name
        assert "looks like that of" not in refused["error"]["message"], "nobody learns who is here"
    await ann.call("PATCH", "/api/admin/options", {"sign_up": "closed"}, 200)
    await join(home, None, "Cem", 403)
    await ann.call("POST", "/api/invitations", {"expires_at": now() + HOUR}, 403)


async def test_one_address_makes_few_accounts(home: House, ann: Person) -> None:
    await ann.call("PATCH", "/api/admin/options", {"sign_up": "open"}, 200)
    for n in range(2, 7):
        await join(home, None, f"Guest {n}", 200, "192.0.2.7")
    assert (await join(home, None, "Guest 8", 429, "192.0.2.7"))["code"] == "too_many_attempts"
    await join(home, None, "Guest 9", 200, "192.0.2.8")


async def test_without_accounts_nobody_signs_up(home: House) -> None:
    await join(home, None, "Ben", 403)
    await (await home.stranger()).call("POST", "/api/invitations", {"expires_at": now() + HOUR}, 403)
