"""Responses in background: nobody has to wait, nothing that was shown is lost, whoever comes back goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI

from myna.errors import EngineCrashed
from myna.server.openai.responses import service as service_module
from myna.server.openai.responses.service import ResponseService
from myna.store import responses
from myna.store.options import Options
from myna.store.tables import responses as tables
from myna.store.tables.webhooks import deliveries
from tests.patience import WAIT_SECONDS
from tests.server.conftest import client_of
from tests.server.openai.responses.test_create import JSON, RESPONSES, body, events, kinds
from tests.server.scripted import MODEL, ScriptedBackend

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def official(stored_address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def service(running_app: FastAPI) -> ResponseService:
    found: ResponseService = running_app.state.responses
    return found


async def begun(http: httpx2.AsyncClient, **more: Any) -> str:
    """The id of a new response in background."""
    answer = await http.post(RESPONSES, json=body(background=True, **more))
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "queued"
    return str(answer.json()["id"])


async def ended(service: ResponseService, response_id: str, owner: str = "local") -> dict[str, Any]:
    """The response once it is over."""
    if (log := service.live(owner, response_id)) is not None:
        await log.ended.wait()
    return await service.get(owner, response_id)


async def said(service: ResponseService, response_id: str, text: str) -> None:
    """Wait until so much of an answer is stored."""
    log = service.live("local", response_id)
    assert log is not None
    async for frames in log.follow(-1, padded=False):
        if text in frames.decode():
            return


def test_the_official_client_asks_and_comes_back(official: openai.OpenAI, backend: ScriptedBackend) -> None:
    backend.gate = asyncio.Event()
    asked = official.responses.create(model=MODEL, input="Hi", background=True)
    assert (asked.status, asked.background, asked.output) == ("queued", True, [])
    assert backend.paused.wait(WAIT_SECONDS)
    backend.loop.call_soon_threadsafe(backend.gate.set)
    with official.responses.stream(response_id=asked.id) as stream:
        seen = [(event.sequence_number, event.type) for event in stream]
        answer = stream.get_final_response()
    assert answer.output_text == "Hello there!"
    assert [number for number, _ in seen] == list(range(len(seen)))
    assert [kind for _, kind in seen][:3] == ["response.created", "response.queued", "response.in_progress"]
    with official.responses.stream(response_id=asked.id, starting_after=5) as stream:
        assert [(event.sequence_number, event.type) for event in stream] == seen[6:]
    again = official.responses.retrieve(asked.id, stream=True, starting_after=5)
    assert [(event.sequence_number, event.type) for event in again] == seen[6:]
    assert official.responses.retrieve(asked.id).output_text == "Hello there!"


def test_a_stream_may_be_left_and_taken_up(official: openai.OpenAI, backend: ScriptedBackend) -> None:
    backend.gate = asyncio.Event()
    with official.responses.create(model=MODEL, input="Hi", background=True, stream=True) as stream:
        read = []
        for event in stream:
            read.append(event)
            if event.type == "response.output_text.delta":
                break
    begun_as = read[0]
    assert begun_as.type == "response.created"
    response_id = begun_as.response.id
    now = official.responses.retrieve(response_id)
    assert (now.status, now.output_text) == ("in_progress", "Hello")
    backend.loop.call_soon_threadsafe(backend.gate.set)
    rest = list(official.responses.retrieve(response_id, stream=True, starting_after=read[-1].sequence_number))
    numbers = [event.sequence_number for event in (*read, *rest)]
    assert numbers == list(range(len(numbers)))
    deltas = [event.delta for event in (*read, *rest) if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hello there!"
    assert rest[-1].type == "response.completed"
    assert backend.cancelled == []


async def test_events_are_stored_before_they_are_seen_and_by_all(
    stored_client: httpx2.AsyncClient, service: ResponseService, backend: ScriptedBackend
) -> None:
    backend.gate = asyncio.Event()
    response_id = await begun(stored_client)

    async def follower() -> AsyncIterator[bytes]:
        async for frames in await service.follow("local", response_id, -1):
            async with service.database.read("local") as scope:
                kept = await responses.events(scope, response_id, -1, 1000)
            assert frames in b"".join(frame for _, frame in kept)
            yield frames

    async def collected() -> bytes:
        return b"".join([frames async for frames in follower()])

    following = [asyncio.create_task(collected()) for _ in range(3)]
    await said(service, response_id, "Hello")
    backend.gate.set()
    first, *others = await asyncio.gather(*following)
    assert set(others) == {first}
    assert kinds(events(first.decode()))[-1] == "completed"
    async with service.database.read("local") as scope:
        stored = await responses.get(scope, response_id)
        kept = await responses.events(scope, response_id, -1, 1000)
    assert b"".join(frame for _, frame in kept) == first
    assert stored.last_event == kept[-1][0]


async def test_one_that_is_cancelled_keeps_what_it_has(
    stored_client: httpx2.AsyncClient, service: ResponseService, backend: ScriptedBackend
) -> None:
    backend.gate = asyncio.Event()
    response_id = await begun(stored_client)
    await said(service, response_id, "Hello")
    cancelled = (await stored_client.post(f"{RESPONSES}/{response_id}/cancel", json={})).json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["output"][0]["content"][0]["text"] == "Hello"
    assert len(backend.cancelled) == 1
    assert (await stored_client.post(f"{RESPONSES}/{response_id}/cancel", json={})).json() == cancelled
    plain = (await stored_client.post(RESPONSES, json=body(background=False, max_output_tokens=1))).json()
    refused = await stored_client.post(f"{RESPONSES}/{plain['id']}/cancel", json={})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "response_id")


async def test_one_that_is_deleted_ends(
    stored_client: httpx2.AsyncClient, service: ResponseService, backend: ScriptedBackend
) -> None:
    backend.gate = asyncio.Event()
    response_id = await begun(stored_client)
    await said(service, response_id, "Hello")
    following = await service.follow("local", response_id, -1)
    assert (await stored_client.delete(f"{RESPONSES}/{response_id}", headers=JSON)).json() == {
        "id": response_id, "object": "response", "deleted": True,
    }  # fmt: skip
    assert b"event: response.completed" not in b"".join([frames async for frames in following])
    for answer in (
        await stored_client.get(f"{RESPONSES}/{response_id}"),
        await stored_client.delete(f"{RESPONSES}/{response_id}", headers=JSON),
        await stored_client.get(f"{RESPONSES}/{response_id}?stream=true"),
    ):
        assert answer.status_code == 404
    other = await begun(stored_client)
    await said(service, other, "Hello")
    backend.gate.set()
    assert (await ended(service, other))["status"] == "completed"


async def test_what_fails_says_why(
    stored_client: httpx2.AsyncClient, service: ResponseService, backend: ScriptedBackend
) -> None:
    backend.late_failure = EngineCrashed("The engine ended.")
    failed = await ended(service, await begun(stored_client))
    assert failed["error"] == {"code": "server_error", "message": "The engine ended."}
    assert failed["output"][0]["content"][0]["text"] == "Hello"
    too_long = await ended(service, await begun(stored_client, input="word " * 100))
    assert (too_long["status"], too_long["error"]["code"]) == ("failed", "invalid_prompt")


async def test_as_many_wait_as_may(
    stored_client: httpx2.AsyncClient,
    service: ResponseService,
    backend: ScriptedBackend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_module, "MAX_BACKGROUND", 2)
    service._room = asyncio.Semaphore(1)
    backend.gate = asyncio.Event()
    first, second = await begun(stored_client), await begun(stored_client)
    await said(service, first, "Hello")
    assert (await service.get("local", second))["status"] == "queued"
    early = await stored_client.post(RESPONSES, json=body(previous_response_id=first))
    assert (early.status_code, early.json()["error"]["param"]) == (409, "previous_response_id")
    refused = await stored_client.post(RESPONSES, json=body(background=True))
    assert refused.status_code == 429
    assert "retry-after" in refused.headers
    cancelled = await service.cancel("local", second)
    assert (cancelled["status"], cancelled["output"]) == ("cancelled", [])
    third = await begun(stored_client)
    backend.gate.set()
    assert (await ended(service, third))["status"] == (await ended(service, first))["status"] == "completed"


async def test_one_that_waited_does_not_begin_when_the_quota_is_used_up_meanwhile(
    running_app: FastAPI,
    stored_client: httpx2.AsyncClient,
    service: ResponseService,
    backend: ScriptedBackend,
) -> None:
    meter = running_app.state.meter
    running_app.state.options.current = Options(tokens_per_day=100)
    service._room = asyncio.Semaphore(1)
    backend.gate = asyncio.Event()
    first, second = await begun(stored_client), await begun(stored_client)
    await said(service, first, "Hello")
    meter.spend("local", None, MODEL, prompt=100)
    backend.gate.set()
    assert (await ended(service, first))["status"] == "completed"
    refused = await ended(service, second)
    assert (refused["status"], refused["error"]["code"]) == ("failed", "rate_limit_exceeded")
    assert "tokens" in refused["error"]["message"]


async def test_the_end_is_told_to_webhooks_and_the_conversation(
    stored_client: httpx2.AsyncClient, service: ResponseService
) -> None:
    endpoint = {"name": "mine", "url": "https://example.com/hook", "event_types": ["response.completed"]}
    assert (await stored_client.post("/v1/webhook_endpoints", json=endpoint)).status_code == 200
    conversation = (await stored_client.post("/v1/conversations", json={})).json()["id"]
    response_id = await begun(stored_client, conversation=conversation)
    await ended(service, response_id)
    async with service.database.read("local") as scope:
        (due,) = await scope.all(scope.select(deliveries))
    assert due.event_type == "response.completed"
    assert response_id in str(due.body)
    items = (await stored_client.get(f"/v1/conversations/{conversation}/items?order=asc")).json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["Hi", "Hello there!"]


async def test_a_server_that_stops_keeps_what_it_has(stored_app: FastAPI, backend: ScriptedBackend) -> None:
    backend.gate = asyncio.Event()
    async with stored_app.router.lifespan_context(stored_app), client_of(stored_app) as http:
        response_id = await begun(http)
        await said(stored_app.state.responses, response_id, "Hello")
    async with stored_app.router.lifespan_context(stored_app), client_of(stored_app) as http:
        kept = (await http.get(f"{RESPONSES}/{response_id}")).json()
        assert (kept["status"], kept["error"]["code"]) == ("failed", "server_error")
        assert kept["error"]["message"].startswith("Interrupted")
        assert kept["output"][0]["content"][0]["text"] == "Hello"
        read = events((await http.get(f"{RESPONSES}/{response_id}?stream=true")).text)
        assert kinds(read)[-1] == "failed"
        assert read[-1]["response"] == kept


async def test_one_whose_owner_is_gone_writes_nothing_more(
    stored_client: httpx2.AsyncClient, service: ResponseService, backend: ScriptedBackend
) -> None:
    backend.gate = asyncio.Event()
    response_id = await begun(stored_client)
    await said(service, response_id, "Hello")
    async with service.database.transaction() as transaction:  # as when a user is deleted
        await responses.remove(transaction.owned_by("local"), response_id)
        transaction.after_commit.append(lambda: service.forget("local"))
    backend.gate.set()
    await stored_client.post(RESPONSES, json=body())
    async with service.database.read("local") as scope:
        assert await scope.all(scope.select(tables.responses)) == []
        assert await scope.all(scope.select(tables.response_events)) == []


async def test_other_users_find_nothing(
    stored_client: httpx2.AsyncClient, service: ResponseService, backend: ScriptedBackend, client_as: Any
) -> None:
    backend.gate = asyncio.Event()
    running = await begun(stored_client)
    await said(service, running, "Hello")
    async with client_as("ben") as ben:
        for method, path in (
            ("GET", ""), ("GET", "?stream=true"), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", ""),
        ):  # fmt: skip
            answer = await ben.request(method, f"{RESPONSES}/{running}{path}", headers=JSON)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), (method, path)
        item = (await service.given("local", running))[0]["id"]
        for more in ({"previous_response_id": running}, {"input": [{"type": "item_reference", "id": item}]}):
            assert (await ben.post(RESPONSES, json=body(**more))).status_code == 404
    backend.gate.set()
    assert (await ended(service, running))["status"] == "completed"


async def test_what_is_asked_wrong(stored_client: httpx2.AsyncClient) -> None:
    made = (await stored_client.post(RESPONSES, json=body())).json()["id"]
    for path, param in (
        (f"/{made}?starting_after=1", "starting_after"),
        (f"/{made}?stream=true&starting_after=-1", "starting_after"),
        (f"/{made}?stream=true&starting_after={2**63}", "starting_after"),
        (f"/{made}?stream=perhaps", "stream"),
        (f"/{made}?include[]=nothing", "include[0]"),
        (f"/{made}?verbose=1", "verbose"),
        (f"/{made}/input_items?limit=0", "limit"),
        (f"/{made}/input_items?after=msg_no", "after"),
    ):
        answer = await stored_client.get(f"{RESPONSES}{path}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), path
    for path in ("/nothing", f"/{'x' * 500}", "/%00", "/..%2f"):
        assert (await stored_client.get(f"{RESPONSES}{path}")).status_code == 404


async def test_input_items_come_a_page_at_a_time(stored_client: httpx2.AsyncClient) -> None:
    turns = [{"role": "user", "content": str(number)} for number in range(5)]
    made = (await stored_client.post(RESPONSES, json=body(input=turns))).json()["id"]
    seen, after = [], ""
    while True:
        page = (await stored_client.get(f"{RESPONSES}/{made}/input_items?limit=2&order=asc{after}")).json()
        seen += [item["content"][0]["text"] for item in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == ["0", "1", "2", "3", "4"]
    newest = (await stored_client.get(f"{RESPONSES}/{made}/input_items?limit=1")).json()
    assert newest["data"][0]["content"][0]["text"] == "4"


async def test_a_finished_stream_is_told_again_in_short(stored_client: httpx2.AsyncClient) -> None:
    made = (await stored_client.post(RESPONSES, json=body())).json()
    told = events((await stored_client.get(f"{RESPONSES}/{made['id']}?stream=true")).text)
    assert [event["delta"] for event in told if "delta" in event] == ["Hello there!"]
    assert told[-1]["response"] == made
    padded = await stored_client.get(f"{RESPONSES}/{made['id']}?stream=true&include_obfuscation=true")
    assert {(len(frame) + 2) % 128 for frame in padded.text.split("\n\n")[:-1]} == {0}


async def test_kill_9_loses_nothing_that_was_shown(tmp_path: Path, empty_database: Path, stored_app: FastAPI) -> None:
    data_dir = tmp_path / "killed"
    data_dir.mkdir()
    shutil.copy(empty_database, data_dir / "myna.db")
    command = [sys.executable, "-m", "tests.server.openai.responses.endless", str(data_dir)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    shown = b""
    try:
        assert server.stdout is not None
        async with httpx2.AsyncClient(base_url=server.stdout.readline().strip(), timeout=WAIT_SECONDS) as http:
            with contextlib.suppress(httpx2.TransportError):  # when it is killed
                async with http.stream("POST", RESPONSES, json=body(background=True, stream=True)) as stream:
                    async for data in stream.aiter_raw():
                        shown += data
                        if shown.count(b"output_text.delta") > 20:
                            server.kill()
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()
    read = events(shown[: shown.rindex(b"\n\n")].decode())
    text = "".join(event["delta"] for event in read if "delta" in event)
    response_id = read[0]["response"]["id"]

    shutil.copytree(data_dir, tmp_path, dirs_exist_ok=True)
    async with stored_app.router.lifespan_context(stored_app), client_of(stored_app) as http:
        kept = (await http.get(f"{RESPONSES}/{response_id}")).json()
        assert kept["status"] == "failed"
        assert kept["error"]["message"].startswith("Interrupted")
        whole = kept["output"][0]["content"][0]["text"]
        assert whole.startswith(text)
        assert whole == "".join(f"{number} " for number in range(len(whole.split())))
        rest = (await http.get(f"{RESPONSES}/{response_id}?stream=true&starting_after={len(read) - 1}")).text
        last = [json.loads(frame.split("data: ")[1]) for frame in rest.removesuffix("\n\n").split("\n\n")]
        assert [event["sequence_number"] for event in last] == list(range(len(read), len(read) + len(last)))
        assert text + "".join(event.get("delta", "") for event in last) == whole
        assert last[-1]["response"] == kept
    async with stored_app.router.lifespan_context(stored_app), client_of(stored_app) as http:
        assert (await http.get(f"{RESPONSES}/{response_id}")).json() == kept  # marked once
