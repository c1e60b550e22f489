"""A batch's whole life over HTTP, with a backend that says what it was told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from myna.errors import EngineBusy, EngineCrashed
from myna.server.openai.batches import draft, job, service
from myna.settings import Settings
from myna.store.scope import Scope
from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL, ScriptedBackend
from tests.store.rows import key, user

from .conftest import CHAT, Batches, chat_line, until

ClientAs = Callable[[str], AbstractAsyncContextManager[httpx2.AsyncClient]]


async def test_every_line_is_answered_as_over_http(batches: Batches, backend: ScriptedBackend) -> None:
    lines = [chat_line(f"line-{index}", f"question {index}", seed=index) for index in range(40)]
    shown = await batches.run(lines, metadata={"for": "a test"})
    assert shown["status"] == "completed"
    assert shown["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
    assert shown["model"] == MODEL
    assert shown["metadata"] == {"for": "a test"}
    assert shown["usage"]["output_tokens"] == 40 * 3
    assert shown["usage"]["total_tokens"] == 40 * (2 + 3)
    times = [shown[f"{name}_at"] for name in ("created", "in_progress", "finalizing", "completed")]
    assert times == sorted(times)
    assert shown["expires_at"] == shown["created_at"] + 86400
    assert shown["error_file_id"] is None
    answers = await batches.read(shown["output_file_id"])
    assert sorted(answer["custom_id"] for answer in answers) == sorted(line["custom_id"] for line in lines)
    for answer in answers:
        assert answer["error"] is None
        assert answer["response"]["status_code"] == 200
        assert answer["response"]["request_id"].startswith("req_")
        assert answer["response"]["body"]["choices"][0]["message"]["content"] == "Hello there!"
    assert len({answer["id"] for answer in answers}) == 40
    assert all(request.background for request in backend.requests)
    file = (await batches.http.get(f"/v1/files/{shown['output_file_id']}")).json()
    assert (file["purpose"], file["expires_at"]) == ("batch_output", None)


async def test_lines_that_fail_go_to_the_errors(batches: Batches) -> None:
    lines = [chat_line("good"), chat_line("hot", temperature=9), chat_line("long", "word " * 100)]
    shown = await batches.run(lines, output_expires_after={"anchor": "created_at", "seconds": 3600})
    assert shown["status"] == "completed"
    assert shown["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    errors = {answer["custom_id"]: answer for answer in await batches.read(shown["error_file_id"])}
    assert errors.keys() == {"hot", "long"}
    assert errors["hot"]["response"]["status_code"] == 400
    assert errors["hot"]["response"]["body"]["error"]["param"] == "temperature"
    assert errors["long"]["response"]["body"]["error"]["code"] == "context_length_exceeded"
    assert [answer["custom_id"] for answer in await batches.read(shown["output_file_id"])] == ["good"]
    for file in (shown["output_file_id"], shown["error_file_id"]):
        kept = (await batches.http.get(f"/v1/files/{file}")).json()
        assert kept["expires_at"] == kept["created_at"] + 3600


async def test_other_endpoints(batches: Batches) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v1/completions": {"prompt": "Say"},
        "/v1/embeddings": {"input": "two words"},
        "/v1/responses": {"input": "Say", "store": False},
        "/v1/moderations": {"input": "Say", "model": "omni-moderation-latest"},
    }
    answers, tokens = {}, {}
    for endpoint, body in bodies.items():
        line = {"custom_id": "a", "method": "POST", "url": endpoint, "body": {"model": MODEL, **body}}
        shown = await batches.run([line], endpoint)
        [answer] = await batches.read(shown["output_file_id"])
        answers[endpoint], tokens[endpoint] = answer["response"]["body"], shown["usage"]
    assert answers["/v1/completions"]["choices"][0]["text"] == "Hello there!"
    assert answers["/v1/embeddings"]["data"][0]["embedding"] == [2.0, 0.0, -0.5]
    assert answers["/v1/responses"]["output"][0]["content"][0]["text"] == "Hello there!"
    assert answers["/v1/moderations"]["results"][0]["flagged"] is False
    taken = [(used["input_tokens"], used["output_tokens"]) for used in tokens.values()]
    assert taken == [(1, 3), (2, 0), (1, 3), (0, 0)]


GOOD = chat_line("a")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, max_batch_lines=300)


BAD_FILES: dict[str, tuple[Any, list[tuple[str, int | None]]]] = {
    "no JSON": (b'{"custom_id"\n' + json.dumps(GOOD).encode(), [("invalid_json_line", 1)]),
    "no object": (b"[1]\n", [("invalid_json_line", 1)]),
    "bottomless": (b"[" * 100_000 + b"\n", [("invalid_json_line", 1)]),
    "blank": (b"\n\n", [("empty_file", None)]),
    "same id": ([GOOD, {**GOOD, "custom_id": "b"}, GOOD], [("duplicate_custom_id", 3)]),
    "method": ([{**GOOD, "method": "GET"}], [("invalid_method", 1)]),
    "url": ([{**GOOD, "url": "/v1/embeddings"}], [("invalid_url", 1)]),
    "id no text": ([{**GOOD, "custom_id": 7}], [("invalid_type", 1)]),
    "id empty": ([{**GOOD, "custom_id": ""}], [("invalid_custom_id", 1)]),
    "unknown field": ([{**GOOD, "priority": 1}], [("unknown_parameter", 1)]),
    "two": ([{"custom_id": "a"}, {**GOOD, "body": []}], [("missing_required_parameter", 1), ("invalid_body", 2)]),
    "stream": ([chat_line("a", stream=True)], [("invalid_body", 1)]),
    "background": ([chat_line("a", background=True)], [("invalid_body", 1)]),
    "two models": ([GOOD, chat_line("b", model="other")], [("mismatched_model", 2)]),
    "no such model": ([chat_line("a", model="unknown")], [("model_not_found", None)]),
    "all": ([chat_line(str(n), stream=True) for n in range(200)], [("invalid_body", n) for n in range(1, 101)]),
    "too many": ([chat_line(str(n)) for n in range(301)], [("too_many_requests", 301)]),
}


async def test_a_file_that_is_no_batch_says_where(batches: Batches, backend: ScriptedBackend) -> None:
    for case, (content, errors) in BAD_FILES.items():
        shown = await batches.run(content)
        assert shown["status"] == "failed", case
        assert shown["errors"]["object"] == "list"
        assert [(error["code"], error["line"]) for error in shown["errors"]["data"]] == errors, case
        assert all(error["message"] for error in shown["errors"]["data"])
    assert backend.requests == []


async def test_a_line_that_is_too_long_to_read(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myna.server.files.MAX_BODY_BYTES", 300_000)
    shown = await batches.run([GOOD, chat_line("b", "x" * 600_000)])
    assert [(error["code"], error["line"]) for error in shown["errors"]["data"]] == [("line_too_long", 2)]


async def test_what_is_no_batch_is_refused_by_name(batches: Batches) -> None:
    file = await batches.upload([GOOD])
    for change, param in (
        ({"endpoint": "/v1/models"}, "endpoint"),
        ({"endpoint": "/v1/videos"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-unknown"}, "input_file_id"),
        ({"input_file_id": None}, "input_file_id"),
        ({"input_file_id": await batches.upload(b"notes", "user_data")}, "input_file_id"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "output_expires_after.seconds"),
        ({"priority": "high"}, "priority"),
    ):
        body = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"} | change
        answer = await batches.http.post("/v1/batches", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_cancelling_keeps_what_is_answered(
    batches: Batches, backend: ScriptedBackend, settings: Settings
) -> None:
    backend.gate = asyncio.Event()
    batch = await batches.begin(chat_line(f"line-{index}") for index in range(100))
    await batches.wait(batch, "in_progress")
    await until(lambda: len(backend.requests) == settings.batch_concurrency)
    assert (await batches.get(batch))["request_counts"] == {"total": 100, "completed": 0, "failed": 0}
    gate, backend.gate = backend.gate, None
    gate.set()
    await until(lambda: len(backend.ended) >= 5)
    backend.gate = asyncio.Event()
    answer = await batches.http.post(f"/v1/batches/{batch}/cancel", json={})
    assert answer.json()["status"] == "cancelling"
    shown = await batches.wait(batch)
    assert shown["status"] == "cancelled"
    assert shown["request_counts"]["completed"] < 100
    assert len(await batches.read(shown["output_file_id"])) == shown["request_counts"]["completed"]
    assert shown["error_file_id"] is None
    assert len(backend.cancelled) + len(backend.ended) == len(backend.requests), "what was under way was given up"
    again = await batches.http.post(f"/v1/batches/{batch}/cancel", json={})
    assert again.status_code == 409


async def test_what_is_not_done_in_time_expires(
    batches: Batches, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(service.WINDOWS, "24h", 1)
    backend.gate = asyncio.Event()
    shown = await batches.run(chat_line(f"line-{index}") for index in range(250))
    assert shown["status"] == "expired"
    assert shown["request_counts"] == {"total": 250, "completed": 0, "failed": 250}
    errors = await batches.read(shown["error_file_id"])
    assert {error["custom_id"] for error in errors} == {f"line-{index}" for index in range(250)}
    assert {error["error"]["code"] for error in errors} == {"batch_expired"}
    assert all(error["response"] is None for error in errors)


async def test_a_busy_model_and_a_crash_are_no_answers(
    batches: Batches, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(job, "FAULT_SECONDS", (0.0,) * 1000)
    backend.failure = EngineBusy("busy")
    batch = await batches.begin([chat_line("a")])
    await until(lambda: len(backend.requests) >= 5)
    backend.failure = EngineCrashed("crashed")
    seen = len(backend.requests)
    await until(lambda: len(backend.requests) > seen)
    backend.failure = None
    assert (await batches.wait(batch))["request_counts"]["completed"] == 1


async def test_a_fault_that_stays_is_an_answer(
    batches: Batches, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "FAULT_SECONDS", (0.0, 0.0))
    backend.failure = EngineCrashed("crashed")
    shown = await batches.run([chat_line("a")])
    assert shown["request_counts"]["failed"] == 1
    assert len(backend.requests) == 3


async def test_an_input_that_is_deleted_before_it_is_read(batches: Batches) -> None:
    file = await batches.upload([GOOD])
    batch = (await batches.create(file)).json()["id"]
    await batches.http.delete(f"/v1/files/{file}")
    shown = await batches.wait(batch)
    if shown["status"] == "failed":
        assert shown["errors"]["data"][0]["code"] == "input_file_not_found"
    else:
        assert shown["status"] == "completed", "it was read before it was gone"


async def test_a_disk_that_fails_holds_a_batch_up(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "RETRY_SECONDS", 0.01)
    is_full = True
    append = draft.Draft._append

    def failing(self: draft.Draft, data: bytes) -> None:
        if is_full:
            raise OSError("no space left")
        append(self, data)

    monkeypatch.setattr(draft.Draft, "_append", failing)
    batch = await batches.begin([chat_line(f"line-{index}") for index in range(9)])
    async with asyncio.timeout(WAIT_SECONDS):
        while (errors := (await batches.get(batch))["errors"]) is None:
            pass
    assert "disk" in errors["data"][0]["message"]
    is_full = False
    shown = await batches.wait(batch)
    assert (shown["status"], shown["errors"]) == ("completed", None)
    answers = await batches.read(shown["output_file_id"])
    assert len({answer["custom_id"] for answer in answers}) == len(answers) == 9


async def test_webhooks_hear_of_the_end(
    batches: Batches, running_app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str, dict[str, str]]] = []

    async def notify(owner: str, event_type: str, data: dict[str, str], *, scope: Scope) -> None:
        assert scope.owner == owner
        told.append((owner, event_type, data))

    monkeypatch.setattr(running_app.state.webhooks, "notify", notify)
    good, bad = await batches.run([GOOD]), await batches.run(b"nothing")
    assert told == [("local", "batch.completed", {"id": good["id"]}), ("local", "batch.failed", {"id": bad["id"]})]


async def test_a_disabled_users_batch_rests_and_a_keys_limits_hold(
    client_as: ClientAs, backend: ScriptedBackend, running_app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "QUOTA_SECONDS", 0.01)
    directory = running_app.state.accounts.directory
    users = {"ben": replace(user("ben"), disabled=True)}
    monkeypatch.setattr(directory, "users", users)
    around = running_app.state.batches._around
    assert around.caller("ben", None) is None
    async with client_as("ben") as http:
        batches = Batches(http)
        batch = await batches.begin([GOOD])
        await batches.wait(batch, "in_progress")
        await asyncio.sleep(0.03)
        assert backend.requests == []
        users["ben"] = user("ben")
        assert (await batches.wait(batch))["status"] == "completed"
    monkeypatch.setattr(directory, "keys", {b"": replace(key("ben"), id="key_1", tokens_per_minute=7)})
    assert around.caller("ben", "key_1").key_limits.tokens_per_minute == 7
    assert around.caller("ben", "key_gone").key_limits.tokens_per_minute is None


async def test_a_deleted_users_batches_end(
    batches: Batches, backend: ScriptedBackend, running_app: FastAPI, settings: Settings
) -> None:
    backend.gate = asyncio.Event()
    await batches.begin(chat_line(f"line-{index}") for index in range(40))
    await until(lambda: len(backend.requests) == settings.batch_concurrency)
    running_app.state.batches.forget("local")
    await until(lambda: not (settings.data_dir / "batches" / "local").exists())
    assert len(backend.cancelled) == settings.batch_concurrency
    assert running_app.state.batches._around.turns.free == settings.batch_concurrency


async def test_another_users_batches_are_not_there(batches: Batches, client_as: ClientAs) -> None:
    file = await batches.upload([GOOD])
    batch = (await batches.create(file)).json()["id"]
    async with client_as("ben") as http:
        assert (await http.get(f"/v1/batches/{batch}")).status_code == 404
        assert (await http.post(f"/v1/batches/{batch}/cancel", json={})).status_code == 404
        assert (await http.get("/v1/batches")).json()["data"] == []
        answer = await Batches(http).create(file)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_file_id")
    assert (await batches.wait(batch))["status"] == "completed"


async def test_batches_are_listed_newest_first(batches: Batches) -> None:
    made = [(await batches.run([chat_line("a")]))["id"] for _ in range(3)]
    first = (await batches.http.get("/v1/batches?limit=2")).json()
    assert [batch["id"] for batch in first["data"]] == made[:0:-1]
    assert first["has_more"]
    rest = (await batches.http.get(f"/v1/batches?after={first['last_id']}")).json()
    assert [batch["id"] for batch in rest["data"]] == made[:1]


async def test_drafts_are_gone_when_batches_are_over(batches: Batches, settings: Settings) -> None:
    await batches.run([chat_line("a")])
    root: Path = settings.data_dir / "batches"
    await until(lambda: not any(path.is_file() for path in root.rglob("*")))


async def test_batches_share_the_turns(batches: Batches, backend: ScriptedBackend, settings: Settings) -> None:
    backend.gate = asyncio.Event()
    large = await batches.begin(chat_line(f"a{index}", "large") for index in range(200))
    await until(lambda: len(backend.requests) == settings.batch_concurrency)
    small = await batches.begin(chat_line(f"b{index}", "small") for index in range(5))
    await batches.wait(small, "in_progress")
    gate, backend.gate = backend.gate, None
    gate.set()
    assert (await batches.wait(small))["status"] == "completed"
    assert (await batches.wait(large))["status"] == "completed"
    texts = [request.messages[0].text for request in backend.requests if request.messages]
    assert max(index for index, text in enumerate(texts) if text == "small") < 120, "it does not wait for the large one"
