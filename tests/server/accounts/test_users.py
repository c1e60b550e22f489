"""Owners and admins manage users, each within his bounds, and what they do holds at once."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from myna.errors import QuotaExhausted
from myna.store.blobs import UNCLAIMED
from myna.store.tables import metadata
from tests.server.people import PASSWORD, House, Person
from tests.server.scripted import MODEL


async def listed(person: Person) -> dict[str, dict[str, Any]]:
    return {user["name"]: user for user in (await person.call("GET", "/api/users", expect=200))["users"]}


async def test_the_first_account_takes_over_what_was_there(home: House) -> None:
    somebody = await home.stranger()
    chat = "00000000-0000-4000-8000-000000000001"
    ids = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(2, 5)]
    message = {"id": ids[0], "parent_id": None, "text": "before there were accounts"}
    run = {"id": ids[1], "message_id": ids[2]}
    await somebody.call("POST", f"/api/chats/{chat}/messages", {"message": message, "run": run}, 201)
    ann = await home.first()
    assert ann.id == "local"
    assert (await ann.call("GET", f"/api/chats/{chat}", expect=200))["chat"]["id"] == chat
    await somebody.call("GET", f"/api/chats/{chat}", expect=401)


async def test_on_loopback_two_do_not_both_make_the_first_account(home: House) -> None:
    one, two = await home.stranger(), await home.stranger()
    codes = await asyncio.gather(
        *(person.status("POST", "/api/setup", {"name": name, "password": PASSWORD}) for person, name in
          ((one, "One"), (two, "Two")))
    )  # fmt: skip
    assert codes.count(200) == 1
    assert len(home.accounts.directory.users) == 1


async def test_a_user_is_made_changed_and_deleted(home: House, ann: Person) -> None:
    made = await ann.call("POST", "/api/users", {"name": " Ben  Bo ", "role": "member"}, 201)
    assert made["name"] == "Ben Bo"
    assert made["id"].startswith("user_")
    ben = await home.sign_in("ben bo", made["password"])
    assert ben.id == made["id"]
    changed = await ann.call("PATCH", f"/api/users/{ben.id}", {"name": "Benny", "tokens_per_day": 1000}, 200)
    assert (changed["name"], changed["tokens_per_day"], changed["password"]) == ("Benny", 1000, None)
    assert "Benny" in await listed(ann)
    await ann.call("DELETE", f"/api/users/{ben.id}", expect=204)
    assert list(await listed(ann)) == ["Ann"]
    await ben.call("GET", "/api/chats", expect=401)
    await ann.call("DELETE", f"/api/users/{ben.id}", expect=404)


async def test_a_session_alone_does_not_replace_ones_own_password(home: House, ann: Person) -> None:
    refused = await ann.call("PATCH", f"/api/users/{ann.id}", {"password": True}, 403)
    assert "old one" in refused["error"]["message"]
    assert (await home.sign_in("ann", PASSWORD)).id == ann.id


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"name": "line\nbreak"}, None),
        ({"name": "ze\u200bro"}, "name"),
        ({"name": "<b>"}, "name"),
        ({"name": "..."}, "name"),
        ({"name": "Zoe", "password": "short"}, "password"),
        ({"name": "Zoe", "password": "x" * 257}, "password"),
        ({"name": "Zoe", "password": "password123"}, "password"),
        ({"name": "Zoe", "password": "aaaaaaaaaaaaa"}, "password"),
        ({"name": "Zoe Zimmermann", "password": "ZOE zimmermann"}, "password"),
        ({"name": "Zoe", "role": "god"}, "role"),
        ({"name": "Zoe", "rank": 1}, "rank"),
    ],
)
async def test_names_and_passwords_that_will_not_do(ann: Person, body: dict[str, Any], param: str | None) -> None:
    if param is None:
        await ann.call("POST", "/api/users", body, 201)  # white space is evened out
        assert "line break" in await listed(ann)
        return
    refused = await ann.call("POST", "/api/users", body, 400)
    assert refused["error"]["param"] == param
    assert list(await listed(ann)) == ["Ann"]


async def test_no_two_users_have_one_name(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    for name in ("BEN", "ben", " Ben "):
        refused = await ann.call("POST", "/api/users", {"name": name}, 409)
        assert refused["error"]["param"] == "name"
    await ann.call("PATCH", f"/api/users/{ben.id}", {"name": "ANN"}, 409)
    await ann.call("PATCH", f"/api/users/{ben.id}", {"name": "BEN"}, 200)


async def test_members_manage_nobody(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    for method, path in (
        ("GET", "/api/users"),
        ("POST", "/api/users"),
        ("PATCH", f"/api/users/{ann.id}"),
        ("DELETE", f"/api/users/{ben.id}"),
    ):
        assert await ben.status(method, path, {"name": "Eve", "role": "owner"}) == 403


async def test_admins_do_not_touch_owners(home: House, ann: Person) -> None:
    admin = await home.invite(ann, "Adam", "admin")
    ben = await home.invite(admin, "Ben")
    await admin.call("PATCH", f"/api/users/{ben.id}", {"role": "admin"}, 200)
    for method, path, body in (
        ("POST", "/api/users", {"name": "Eve", "role": "owner"}),
        ("PATCH", f"/api/users/{admin.id}", {"role": "owner"}),
        ("PATCH", f"/api/users/{ann.id}", {"name": "Nobody"}),
        ("PATCH", f"/api/users/{ann.id}", {"password": True}),
        ("PATCH", f"/api/users/{ann.id}", {"disabled": True}),
        ("DELETE", f"/api/users/{ann.id}", None),
    ):
        assert await admin.status(method, path, body) == 403, (method, path, body)
    assert (await listed(ann))["Ann"]["role"] == "owner"


async def test_there_is_always_an_owner(home: House, ann: Person) -> None:
    for method, body in (("DELETE", None), ("PATCH", {"role": "member"}), ("PATCH", {"disabled": True})):
        refused = await ann.call(method, f"/api/users/{ann.id}", body, 403)
        assert "last owner" in refused["error"]["message"]
    other = await home.invite(ann, "Olga", "owner")
    codes = await asyncio.gather(
        ann.status("PATCH", f"/api/users/{other.id}", {"role": "member"}),
        other.status("PATCH", f"/api/users/{ann.id}", {"role": "member"}),
    )
    assert 200 in codes
    assert len(home.accounts.directory.owners()) == 1


async def test_the_first_user_can_go_too(home: House, ann: Person) -> None:
    other = await home.invite(ann, "Olga", "owner")
    await other.call("DELETE", f"/api/users/{ann.id}", expect=204)
    await ann.call("GET", "/api/chats", expect=401)
    assert (await other.call("GET", "/api/session"))["user"]["name"] == "Olga"


async def test_a_demotion_holds_at_once(home: House, ann: Person) -> None:
    admin = await home.invite(ann, "Adam", "admin")
    assert await admin.status("GET", "/metrics") == 200
    key = await home.key_of(admin)
    assert await key.status("GET", "/metrics") == 200
    await ann.call("PATCH", f"/api/users/{admin.id}", {"role": "member"}, 200)
    assert await admin.status("GET", "/api/users") == 403
    assert await admin.status("GET", "/metrics") == 403
    assert await key.status("GET", "/metrics") == 403
    assert await admin.status("GET", "/api/chats") == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/metrics", None),
        ("DELETE", "/v1/models/nonsense", None),
        ("POST", "/v1/load_lora_adapter", {"lora_name": "a", "lora_path": "a"}),
        ("POST", "/v1/unload_lora_adapter", {"lora_name": "nonsense"}),
        ("POST", "/api/models/nonsense/pull", None),
        ("POST", "/api/models/nonsense/pull/cancel", None),
        ("POST", "/api/models/nonsense/adapters", {"name": "a", "path": "a"}),
        ("DELETE", "/api/models/nonsense/adapters/a", None),
        ("POST", "/api/pull", {"model": "nonsense"}),
        ("DELETE", "/api/delete", {"model": "nonsense"}),
    ],
)
async def test_what_concerns_everybody_is_not_for_members(
    home: House, ann: Person, method: str, path: str, body: Any
) -> None:
    ben, admin = await home.invite(ann, "Ben"), await home.invite(ann, "Adam", "admin")
    for who in (ben, await home.key_of(ben)):
        assert await who.status(method, path, body) == 403
    for who in (ann, admin, await home.key_of(admin)):
        assert await who.status(method, path, body) != 403
    assert await (await home.key_of(ann, "inference")).status(method, path, body) == 403


async def test_a_disabled_user_is_out_until_he_is_enabled(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    key = await home.key_of(ben)
    await ann.call("PATCH", f"/api/users/{ben.id}", {"disabled": True}, 200)
    await ben.call("GET", "/api/chats", expect=401)
    refused = await key.call("GET", "/v1/models", expect=401)
    assert refused["error"]["code"] == "account_disabled"
    stranger = await home.stranger()
    refused = await stranger.call("POST", "/api/session", {"name": "Ben", "password": PASSWORD}, 401)
    assert refused["error"]["code"] == "account_disabled"
    refused = await stranger.call("POST", "/api/session", {"name": "Ben", "password": "wrong"}, 401)
    assert refused["error"]["code"] == "wrong_password", "whether an account is disabled is not everybody's to know"
    await ann.call("PATCH", f"/api/users/{ben.id}", {"disabled": False}, 200)
    assert await key.status("GET", "/v1/models") == 200
    await ben.call("GET", "/api/chats", expect=401)
    await home.sign_in("Ben")


async def test_a_new_password_signs_the_user_out(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    made = (await ann.call("PATCH", f"/api/users/{ben.id}", {"password": True}, 200))["password"]
    await ben.call("GET", "/api/chats", expect=401)
    assert await (await home.stranger()).status("POST", "/api/session", {"name": "Ben", "password": PASSWORD}) == 401
    await home.sign_in("Ben", made)


async def test_all_of_a_users_goes_with_him(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    await home.key_of(ben)
    directories = [place / ben.id for place in (home.accounts.files, home.accounts.files / UNCLAIMED)]
    for directory in directories:
        directory.mkdir(parents=True)
        (directory / "blob").write_bytes(b"his")
    await ann.call("DELETE", f"/api/users/{ben.id}", expect=204)
    assert not any(directory.exists() for directory in directories)
    async with home.app.state.database.read(ben.id) as scope:
        for table in metadata.tables.values():
            if "owner" in table.c:
                assert await scope.all(scope.select(table)) == [], table.name


async def test_everybody_sees_what_he_has_used_himself(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    program = await home.key_of(ben, "all")
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    answer = await program.call("POST", "/v1/chat/completions", asked, 200)
    await home.app.state.meter.usage.write(home.app.state.database)
    (used,) = (await ben.call("GET", "/api/account/usage?days=1", expect=200))["usage"]
    counts = {name: answer["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
    untimed = {"timed_tokens": 0, "timed_milliseconds": 0}  # by this engine, which takes no time
    assert used == {"day": used["day"], "model": MODEL, "key": program.id, "requests": 1, **counts, **untimed}
    assert (await ann.call("GET", "/api/account/usage", expect=200))["usage"] == []
    assert await ben.status("GET", "/api/account/usage?days=0") == 400


async def test_thousands_are_found_a_page_at_a_time(home: House) -> None:
    ann = await home.first()
    someone = home.accounts.directory.users[ann.id]
    for number in range(3000):
        names = {"name": f"U {number}", "name_key": f"u {number:04}"}
        one = dataclasses.replace(someone, id=f"user_{number}", role="member", **names)
        home.accounts.directory.users[one.id] = one
    seen: list[str] = []
    page: dict[str, Any] = {"next": None}
    while page["next"] is not None or not seen:
        wanted = {"limit": 150, "text": "U 1", **({"after": page["next"]} if page["next"] else {})}
        page = (await ann.http.get("/api/users", params=wanted)).json()
        assert page["total"] == 1000
        seen += [user["id"] for user in page["users"]]
    assert seen == [f"user_{number}" for number in range(1000, 2000)]
    owners = (await ann.http.get("/api/users", params={"role": "owner"})).json()
    assert [user["name"] for user in owners["users"]] == ["Ann"]


async def test_the_list_tells_what_counts_for_each(home: House) -> None:
    ann = await home.first()
    await home.invite(ann, "Ben")
    await ann.call("PATCH", "/api/admin/options", {"tokens_per_day": 50, "requests_per_minute": 7}, 200)
    await ann.call("PATCH", f"/api/users/{ann.id}", {"tokens_per_day": 0}, 200)
    home.app.state.meter.usage.add(ann.id, None, "m", prompt=30, completion=12)
    found = await listed(ann)
    assert found["Ann"]["limits"] == {"requests_per_minute": 7, "tokens_per_minute": 0, "tokens_per_day": 0}
    assert found["Ben"]["limits"]["tokens_per_day"] == 50
    assert (found["Ann"]["tokens_today"], found["Ben"]["tokens_today"]) == (42, 0)


async def test_what_waits_in_a_chat_is_sent_on_within_its_users_quota(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    await ann.call("PATCH", f"/api/users/{ben.id}", {"tokens_per_day": 10}, 200)
    admit = home.app.state.api.runs.queue._admit
    home.app.state.meter.spend(ben.id, None, "scripted", prompt=10)
    admit(ann.id)
    with pytest.raises(QuotaExhausted):
        admit(ben.id)
