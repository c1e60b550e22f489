"""Taking all that is one's own along, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from starlette.requests import ClientDisconnect
from starlette.types import Message

from myna.server.api.downloads import Download
from myna.store import audit, takeout
from myna.store.audit import Filter
from myna.store.tables import metadata
from tests.server.people import PASSWORD, House, Person

SECRET = "xyzzy-what-only-one-knows"


def new_id() -> str:
    return str(uuid.uuid4())


async def converse(person: Person, text: str) -> str:
    """A chat with two branches; its id."""
    chat = new_id()
    for _ in range(2):
        message = {"id": new_id(), "parent_id": None, "text": text}
        run = {"id": new_id(), "message_id": new_id()}
        await person.call("POST", f"/api/chats/{chat}/messages", {"message": message, "run": run}, 201)
        while (await person.call("GET", f"/api/chats/{chat}", expect=200))["runs"]:
            pass  # the answer has its turns meanwhile
    return chat


async def something(person: Person, text: str) -> tuple[str, str]:
    """A chat and a file of somebody, and more."""
    chat = await converse(person, text)
    form = {"files": {"file": (f"../{text}.txt", text.encode())}, "data": {"purpose": "user_data"}}
    file = (await person.call("POST", "/v1/files", None, 200, **form))["id"]
    await person.call("PATCH", "/api/account/preferences", {"instructions": text}, 200)
    await person.call("POST", "/api/account/keys", {"name": text}, 201)
    return chat, file


async def archive_of(person: Person) -> zipfile.ZipFile:
    response = await person.http.get("/api/account/export")
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"].startswith("attachment")
    return zipfile.ZipFile(io.BytesIO(response.content))


async def test_all_that_is_ones_own_is_in_the_archive_and_nothing_else(
    home: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeout, "_MESSAGES", 3)  # so that a document is made of several pieces
    monkeypatch.setattr(takeout, "_ROWS", 1)
    ben = await home.invite(ann, "Ben")
    chat, file = await something(ann, "what Ann wrote")
    await something(ben, SECRET)
    archive = await archive_of(ann)
    assert archive.testzip() is None
    names = archive.namelist()
    document = json.loads(archive.read(f"chats/{chat}.json"))
    assert document["chat"]["id"] == chat
    assert document["messages"] == sorted(document["messages"], key=lambda each: (each["created_at"], each["id"]))
    asked = [message for message in document["messages"] if message["role"] == "user"]
    assert [message["parts"] for message in asked] == [[{"type": "text", "text": "what Ann wrote"}]] * 2
    assert len(document["messages"]) == 4
    (packed,) = [name for name in names if name.startswith("files/")]
    assert packed.startswith(f"files/{file}-")
    assert ".." not in packed
    assert "/" not in packed.removeprefix("files/")
    assert archive.read(packed) == b"what Ann wrote"
    kept = json.loads(archive.read("data/preferences.jsonl"))
    assert kept["document"]["instructions"] == "what Ann wrote"
    assert json.loads(archive.read("account.json"))["name"] == "Ann"
    assert b"chats/ID.json" in archive.read("README.txt")
    everything = b"".join(archive.read(name) for name in names)
    assert SECRET.encode() not in everything
    key = home.accounts.directory.keys_of(ann.id)[0]
    for secret in (home.accounts.directory.users[ann.id].password, key.digest.hex(), ann.http.cookies["myna_session"]):
        assert secret.encode() not in everything
    async with home.app.state.database.transaction() as transaction:
        (entry,) = await audit.entries(transaction, Filter(action="account.export"))
    assert entry.actor_name == "Ann"


async def test_chats_are_there_to_read_too(home: House, ann: Person) -> None:
    first, second = [await converse(ann, "Plan a garden") for _ in range(2)]
    for chat, title in ((first, "a/b: \u202eCON"), (second, "A_B_ con")):
        await ann.call("PATCH", f"/api/chats/{chat}", {"title": title}, 200)
    document = await ann.call("GET", f"/api/chats/{first}", expect=200)
    form = {"files": {"file": ("花" * 99 + ".txt", b"x")}, "data": {"purpose": "user_data"}}
    await ann.call("POST", "/v1/files", None, 200, **form)
    archive = await archive_of(ann)
    day = datetime.fromtimestamp(document["chat"]["created_at"] / 1000, UTC).date().isoformat()
    names = [name for name in archive.namelist() if name.startswith("markdown/")]
    assert names == [f"markdown/{day} a_b_ CON.md", f"markdown/{day} A_B_ con (2).md"]
    text = archive.read(names[0]).decode()
    assert text.startswith("# a/b: CON\n\n- Begun: ")
    assert "2 messages of other branches are not shown here" in text
    asked, answered = text.split("\n---\n")[1:]
    assert asked.startswith("\n## User\n")
    assert asked.endswith("*1 other version*\n\nPlan a garden\n")
    assert answered.startswith("\n## Assistant · ")
    said = json.loads(archive.read(f"chats/{first}.json"))
    last = next(each for each in said["messages"] if each["id"] == said["chat"]["leaf_id"])
    assert "".join(part["text"] for part in last["parts"] if part["type"] == "text").strip() in answered
    assert all(len(step.encode()) < 256 for name in archive.namelist() for step in name.split("/"))


async def test_one_chat_is_a_file_of_its_own(ann: Person) -> None:
    chat = await converse(ann, "Plan a garden")
    await ann.call("PATCH", f"/api/chats/{chat}", {"title": "a/花"}, 200)
    page = await ann.http.get(f"/api/chats/{chat}/export?format=markdown")
    assert page.headers["content-type"] == "text/markdown; charset=utf-8"
    assert page.headers["content-disposition"] == "attachment; filename*=UTF-8''a_%E8%8A%B1.md"
    document = await ann.http.get(f"/api/chats/{chat}/export?format=json")
    archive = await archive_of(ann)
    assert document.content == archive.read(f"chats/{chat}.json")
    assert page.content == archive.read(next(name for name in archive.namelist() if name.startswith("markdown/")))
    assert await ann.status("GET", f"/api/chats/{chat}/export?format=pdf") == 400
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert await ann.status("GET", f"/api/chats/{chat}/export?format=json", headers=elsewhere) == 403


async def test_another_page_cannot_begin_one(home: House) -> None:
    somebody = await home.stranger()
    assert await somebody.status("GET", "/api/account/export", headers={"sec-fetch-site": "cross-site"}) == 403
    assert await somebody.status("GET", "/api/account/export", headers={"sec-fetch-site": "same-origin"}) == 200


async def gone(message: Message) -> None:
    """Sends to a browser that has gone."""
    raise ConnectionError


async def test_one_archive_at_a_time_and_the_next_after_a_cancelled_one(home: House, ann: Person) -> None:
    takeouts = home.app.state.takeouts
    about = {"id": ann.id, "name": "Ann"}
    begun = await takeouts.begin(ann.id, about, "http://here")
    assert await ann.status("GET", "/api/account/export") == 409
    assert await anext(begun)
    await begun.aclose()
    await (await takeouts.begin(ann.id, about, "http://here")).aclose()
    unseen = Download(await takeouts.begin(ann.id, about, "http://here"), "mine.zip", "application/zip")
    with pytest.raises(ClientDisconnect):
        await unseen({"type": "http", "asgi": {"spec_version": "2.4"}}, asyncio.Queue().get, gone)
    await archive_of(ann)
    assert not list(home.accounts.files.parent.glob("tmp*")), "nothing lies around"


async def test_the_person_of_a_server_without_accounts_has_data_too(home: House) -> None:
    somebody = await home.stranger()
    chat = await converse(somebody, "hello")
    assert f"chats/{chat}.json" in (await archive_of(somebody)).namelist()
    assert await (await home.stranger()).status("DELETE", "/api/account", {}) == 403


def test_every_table_of_a_user_is_taken_out_or_left_out_by_name() -> None:
    assert {name for name in takeout.LEFT_OUT if name not in metadata.tables} <= {"search_documents", "search_owners"}
    secrets = {"digest", "secret", "old_secret", "password"}
    for table in metadata.sorted_tables:
        hidden = {column.name for column in table.c} & secrets
        assert hidden <= takeout.HIDDEN


async def test_who_leaves_leaves_nothing(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    await something(ben, SECRET)
    await something(ann, "hers")
    other = await home.sign_in("Ben")
    program = await home.key_of(ben)
    home.backend.gate = asyncio.Event()  # an answer that is being written
    running = {
        "message": {"id": new_id(), "parent_id": None, "text": SECRET},
        "run": {"id": new_id(), "message_id": new_id()},
    }
    await ben.call("POST", f"/api/chats/{new_id()}/messages", running, 201)
    assert await ben.status("DELETE", "/api/account", {}) == 400
    refused = await ben.call("DELETE", "/api/account", {"password": "not this one"}, 401)
    assert (refused["error"]["code"], refused["error"]["message"]) == ("wrong_own_password", "The password is wrong.")
    assert await program.status("DELETE", "/api/account", {"password": PASSWORD}) == 403
    await ben.call("DELETE", "/api/account", {"password": PASSWORD}, 204)
    home.backend.gate.set()
    assert [await each.status("GET", "/api/chats") for each in (ben, other, program)] == [401, 401, 401]
    await asyncio.sleep(0)
    async with home.app.state.database.transaction() as transaction:
        for table in metadata.sorted_tables:
            rows = (await transaction.connection.execute(select(table))).all()
            told = " ".join(map(str, rows))
            if table.name != "audit_log":  # which keeps who it was, what his keys were called, and that he left
                assert SECRET not in told, table.name
                assert ben.id not in told, table.name
        (entry,) = await audit.entries(transaction, Filter(action="user.delete"))
    assert entry.actor_name == "Ben"
    assert not [
        path for path in home.accounts.files.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert not (home.accounts.files / ben.id).exists()
    assert (await ann.call("GET", "/api/chats", expect=200))["chats"]


async def test_the_last_owner_stays_and_a_second_factor_is_asked_for(home: House, ann: Person) -> None:
    refused = await ann.call("DELETE", "/api/account", {"password": PASSWORD}, 403)
    assert "last owner" in refused["error"]["message"]
    ben = await home.invite(ann, "Ben")
    home.accounts.directory.second_factors.add(ben.id)
    refused = await ben.call("DELETE", "/api/account", {"password": PASSWORD}, 401)
    assert refused["error"]["code"] == "second_factor_required"


def test_memory_stays_small(tmp_path: Any) -> None:
    from myna.server.takeout import _Archive

    archive, largest = _Archive(), 0
    with archive.member("large") as member:
        for number in range(200):
            member.write(bytes([number]) * (64 << 10))
            largest = max(largest, len(archive.take()))
    archive.close()
    assert largest < 1 << 20
