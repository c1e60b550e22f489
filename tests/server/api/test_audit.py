"""What is done through pages, the API and the command line is in the audit log; owners and admins can read it."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from myna.server.accounts.failures import MOST_A_MINUTE, Failures
from myna.store import audit
from tests.server.people import PASSWORD, House, Person
from tests.server.scripted import MODEL


async def log(person: Person, **wanted: Any) -> list[dict[str, Any]]:
    answer = await person.http.get("/api/admin/audit", params={"limit": 200, **wanted})
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries[::-1]


async def test_everything_that_concerns_accounts_is_written_down(home: House) -> None:
    ann = await home.first()
    ben = await home.invite(ann, "Ben")
    path = f"/api/users/{ben.id}"
    await ann.call("PATCH", path, {"role": "admin", "tokens_per_day": 5, "password": True}, 200)
    await ann.call("PATCH", path, {"name": "Benjamin"}, 200)
    key = await home.key_of(ann, "read")
    await ann.call("PATCH", f"/api/account/keys/{key.id}", {"name": "laptop"}, 200)
    await ann.call("DELETE", f"/api/account/keys/{key.id}", None, 204)
    await ann.call("POST", "/api/account/password", {"old": PASSWORD, "new": PASSWORD + "!"}, 204)
    await ann.call("DELETE", "/api/account/sessions", None, 204)
    stranger = await home.stranger()
    await stranger.call("POST", "/api/session", {"name": "Ann", "password": "guess"}, 401)
    await stranger.call("POST", "/api/session", {"name": PASSWORD, "password": "Ann"}, 401)
    await ann.call("PATCH", path, {"disabled": True}, 200)
    await ann.call("DELETE", path, None, 204)
    hook = {"name": "hook", "url": "https://hooks.example/s3cret", "event_types": ["response.completed"]}
    made = await ann.call("POST", "/v1/webhook_endpoints", hook, 200)
    await ann.call("POST", f"/v1/webhook_endpoints/{made['id']}/rotate_secret", {}, 200)
    await ann.call("DELETE", f"/v1/webhook_endpoints/{made['id']}", None, 200)
    entries = await log(ann)
    assert [entry["action"] for entry in entries] == [
        "user.create", "session.begin", "user.create", "session.begin",
        "user.change_role", "user.change_limits", "user.reset_password", "user.rename",
        "key.create", "key.change", "key.revoke", "user.change_password", "session.end_others",
        "session.fail", "session.fail", "user.disable", "user.delete",
        "webhook.create", "webhook.rotate_secret", "webhook.delete",
    ]  # fmt: skip
    role, deleted, guess, lost = entries[4], entries[16], entries[13], entries[14]
    assert (role["actor_id"], role["actor_name"], role["object_id"]) == (ann.id, "Ann", ben.id)
    assert role["details"] == {"name": "Ben", "changes": {"role": ["member", "admin"]}}
    assert deleted["details"]["name"] == "Benjamin"
    assert (guess["actor_id"], guess["object_id"], guess["details"]["name"]) == ("", ann.id, "Ann")
    assert guess["address"] != role["address"] is not None
    assert (lost["object_id"], lost["details"]["name"]) == ("", None)  # it may be a password in the wrong field
    everything = json.dumps(entries)
    assert PASSWORD not in everything
    assert "s3cret" not in everything
    assert made["signing_secret"] not in everything


async def test_a_key_that_did_something_is_told(home: House) -> None:
    ann = await home.first()
    program = await home.key_of(ann, "all")
    hook = {"name": "hook", "url": "https://hooks.example/", "event_types": ["response.completed"]}
    await program.call("POST", "/v1/webhook_endpoints", hook, 200)
    assert [entry["actor_key"] for entry in await log(ann, action="webhook.")] == [program.id]


async def test_a_flood_of_failures_is_counted_and_not_written(home: House) -> None:
    ann = await home.first()
    clock = [0.0]
    failures = Failures(lambda: clock[0])
    for _ in range(MOST_A_MINUTE + 500):
        await failures.note(home.app.state.database, None, "wrong_password")
    clock[0] = 61
    await failures.note(home.app.state.database, None, "wrong_password")
    entries = await log(ann, action="session.fail")
    assert [entry["details"]["unwritten"] for entry in entries] == [0] * MOST_A_MINUTE + [500]


async def test_pages_and_filters(home: House) -> None:
    ann = await home.first()
    for name in ("Ben", "Cat", "Dan"):
        await ann.call("POST", "/api/users", {"name": name, "password": PASSWORD}, 201)
    first = (await ann.http.get("/api/admin/audit", params={"action": "user.", "limit": 2})).json()
    more = {"action": "user.", "limit": 2, "before": first["next"]}
    rest = (await ann.http.get("/api/admin/audit", params=more)).json()
    assert [entry["details"]["name"] for page in (first, rest) for entry in page["entries"]] == [
        "Dan", "Cat", "Ben", "Ann",
    ]  # fmt: skip
    assert rest["next"] is None
    assert first["actions"] == ["session.begin", "user.create"]
    assert [entry["details"]["name"] for entry in await log(ann, text="cat")] == ["Cat"]
    assert len(await log(ann, actor=ann.id, kind="user")) == 4
    assert await log(ann, until=1) == []


async def test_an_export_is_whole_and_safe_to_open(home: House) -> None:
    ann = await home.first("+Ann")
    async with home.app.state.database.transaction() as transaction:
        for number in range(1200):
            await audit.record(transaction, "system", "model.pull", "model", f"=cmd|{number}")
    answer = await ann.http.get("/api/admin/audit/export", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["object_id"] for row in rows if row["action"] == "model.pull"] == [
        f"'=cmd|{number}" for number in reversed(range(1200))
    ]
    assert {row["actor_name"] for row in rows} == {"system", "'+Ann"}
    answer = await ann.http.get("/api/admin/audit/export", params={"format": "jsonl", "action": "model.pull"})
    assert [json.loads(line)["object_id"] for line in answer.text.splitlines()][:2] == ["=cmd|1199", "=cmd|1198"]
    assert [entry["details"]["format"] for entry in await log(ann, action="audit.export")] == ["csv", "jsonl"]


async def test_what_is_old_goes_when_an_owner_says_so(home: House) -> None:
    ann = await home.first()
    ben = await home.invite(ann, "Ben", "admin")
    last = (await log(ann))[-1]["at"]
    assert await ben.status("POST", "/api/admin/audit/prune", {"before": last + 1}) == 403
    assert await ann.status("POST", "/api/admin/audit/prune", {"before": 2**53}) == 400
    assert await ann.status("GET", f"/api/admin/audit?before={10**20}") == 400
    assert (await ann.call("POST", "/api/admin/audit/prune", {"before": last + 1}, 200))["removed"] == 4
    (entry,) = await log(ann)
    assert (entry["action"], entry["actor_name"], entry["details"]) == ("audit.prune", "Ann", {"entries": 4})


async def test_members_and_keys_see_nothing_of_it(home: House) -> None:
    ann = await home.first()
    ben, cat = await home.invite(ann, "Ben", "admin"), await home.invite(ann, "Cat")
    program = await home.key_of(ann, "all")
    for path in ("/api/admin/audit", "/api/admin/audit/export?format=csv"):
        assert [await who.status("GET", path) for who in (ann, ben, cat, program)] == [200, 200, 403, 403]


async def test_what_happens_to_models_is_written_down(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await home.first()
    hub, models = home.app.state.hub, home.models

    async def adapt(*names: str) -> None:
        pass

    await ann.call("POST", f"/api/models/{MODEL}/pull", {}, 200)  # it is there: nothing is fetched
    monkeypatch.setattr(hub, "find", lambda name: None)
    monkeypatch.setattr(hub, "pull", lambda name, progress: None)
    await ann.call("POST", f"/api/models/{MODEL}/pull", {}, 202)
    for name in ("load_adapter", "unload_adapter", "unload"):
        monkeypatch.setattr(models, name, adapt, raising=False)
    await ann.call("POST", "/v1/load_lora_adapter", {"lora_name": "tune", "lora_path": "tune"}, 200)
    await ann.call("POST", "/v1/unload_lora_adapter", {"lora_name": "tune"}, 200)
    monkeypatch.setattr(hub, "local", lambda: [SimpleNamespace(name=MODEL, pulled_at=1)])
    monkeypatch.setattr("myna.server.openai.models.remove_model", lambda hub, name: 1)
    await ann.call("DELETE", f"/v1/models/{MODEL}", None, 200)
    assert [(entry["action"], entry["object_id"]) for entry in await log(ann, kind="model")] == [
        ("model.pull", MODEL),
        ("adapter.load", MODEL),
        ("adapter.unload", MODEL),
        ("model.delete", MODEL),
    ]
