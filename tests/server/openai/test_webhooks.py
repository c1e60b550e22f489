"""Webhook endpoints over HTTP: with the official client, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI

from myna.server.openai import webhooks
from myna.server.webhooks import EVENT_TYPES
from tests.server.webhooks.receiver import receiving

ENDPOINTS = "/v1/webhook_endpoints"
URL = "https://example.com/hook"
JSON = {"content-type": "application/json"}

Client = httpx2.AsyncClient


async def create(client: Client, **body: Any) -> httpx2.Response:
    given = {"name": "mine", "url": URL, "event_types": ["batch.completed"]}
    return await client.post(ENDPOINTS, content=json.dumps(given | body), headers=JSON)


def test_the_official_client_manages_endpoints(stored_address: str) -> None:
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        assert client.webhooks.event_types.list().data == list(EVENT_TYPES)
        made = client.webhooks.create(name="mine", url=URL, event_types=["batch.completed", "response.failed"])
        assert made.signing_secret.startswith("whsec_")
        seen = client.webhooks.retrieve(made.id)
        assert (seen.name, seen.url, seen.event_types) == ("mine", URL, ["batch.completed", "response.failed"])
        assert seen.signing_secret_hint == "whsec_…" + made.signing_secret[-4:]
        assert made.signing_secret not in json.dumps(seen.model_dump())
        other = client.webhooks.create(name="other", url=URL, event_types=["batch.failed"])
        assert [endpoint.id for endpoint in client.webhooks.list(limit=1)] == [other.id, made.id]
        changed = client.webhooks.update(made.id, name="renamed", event_types=["batch.expired"])
        assert (changed.name, changed.url, changed.event_types) == ("renamed", URL, ["batch.expired"])
        rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        assert rotated.signing_secret != made.signing_secret
        deleted = client.webhooks.delete(made.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "webhook_endpoint.deleted")
        with pytest.raises(openai.NotFoundError, match=made.id):
            client.webhooks.retrieve(made.id)


async def test_the_official_asynchronous_client_gets_a_sample(stored_address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        async with receiving(b"204 No Content", b"503 Busy") as receiver:
            made = await client.webhooks.create(name="mine", url=receiver.url, event_types=["batch.completed"])
            for event_type, status in (("response.completed", 204), ("batch.failed", 503)):
                result = await client.webhooks.test(made.id, event_type=event_type)  # type: ignore[arg-type]
                assert (result.status_code, result.event_type, result.success) == (status, event_type, True)
                assert result.webhook_endpoint_id == made.id
            sample = receiver.received[0]
            event = client.webhooks.unwrap(sample.body, sample.headers, secret=made.signing_secret)
            assert event.type == "response.completed"
        with pytest.raises(openai.BadRequestError, match="could not be reached"):  # nobody listens any more
            await client.webhooks.test(made.id, event_type="batch.failed")
        assert (await client.webhooks.retrieve(made.id)).updated_at == made.updated_at


async def test_an_endpoint_is_nobody_elses(
    stored_client: Client, client_as: Callable[[str], AbstractAsyncContextManager[Client]]
) -> None:
    made = (await create(stored_client)).json()
    path = f"{ENDPOINTS}/{made['id']}"
    async with client_as("ben") as ben:
        assert (await ben.get(ENDPOINTS)).json()["data"] == []
        attempts = [
            ben.get(path),
            ben.post(path, json={"name": "ben's"}),
            ben.post(f"{path}/rotate_secret", json={}),
            ben.post(f"{path}/test", json={"event_type": "batch.failed"}),
            ben.delete(path, headers=JSON),
        ]
        for attempt in attempts:
            assert (await attempt).status_code == 404
    assert (await stored_client.get(path)).json()["name"] == "mine"


async def test_only_who_runs_the_server_has_his_network_called(
    stored_client: Client, client_as: Callable[[str], AbstractAsyncContextManager[Client]]
) -> None:
    url = "http://127.0.0.1:9/"
    assert (await create(stored_client, url=url)).status_code == 200
    async with client_as("ben") as ben:  # a member
        made = (await create(ben)).json()
        for answer in (await create(ben, url=url), await ben.post(f"{ENDPOINTS}/{made['id']}", json={"url": url})):
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] == "url"
        # What only its name hides is found when it is resolved.
        made = (await create(ben, url="https://localhost:9/")).json()
        answer = await ben.post(f"{ENDPOINTS}/{made['id']}/test", json={"event_type": "batch.failed"})
        assert answer.status_code == 400
        assert "not a public one" in answer.json()["error"]["message"]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"url": "ftp://example.com/"}, "url", "invalid_value"),
    ({"url": "https://169.254.169.254/latest/meta-data"}, "url", "invalid_value"),
    ({"url": 7}, "url", "invalid_value"),
    ({"name": ""}, "name", "invalid_value"),
    ({"event_types": []}, "event_types", "invalid_value"),
    ({"event_types": ["batch.done"]}, "event_types", "invalid_value"),
    ({"event_types": ["eval.run.failed"]}, "event_types", "unsupported_parameter"),
    ({"event_types": "batch.completed"}, "event_types", "invalid_value"),
    ({"name": "\ud800"}, "name", "invalid_value"),
    ({"url": "https://example.com/\ud800"}, "url", "invalid_value"),
    ({"event_types": ["\ud800"]}, "event_types", "invalid_value"),
    ({"colour": "red"}, "colour", "invalid_value"),
]


async def test_what_is_wrong_is_said(stored_client: Client) -> None:
    for body, param, code in WRONG:
        answer = await create(stored_client, **body)
        assert answer.status_code == 400, body
        assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code), body


async def test_an_update_that_changes_nothing_is_none(stored_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = (await create(stored_client)).json()
    monkeypatch.setattr(webhooks, "now", lambda: 2**41)
    path = f"{ENDPOINTS}/{made['id']}"
    for body in ({}, {"name": "mine", "url": None, "event_types": ["batch.completed", "batch.completed"]}):
        assert (await stored_client.post(path, json=body)).json()["updated_at"] == made["updated_at"]
    assert (await stored_client.post(path, json={"name": "new"})).json()["updated_at"] == 2**41 // 1000


async def test_endpoints_have_a_number(stored_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MAX_ENDPOINTS", 1)
    assert (await create(stored_client)).status_code == 200
    answer = await create(stored_client)
    assert answer.status_code == 400
    assert "delete one" in answer.json()["error"]["message"]


async def test_a_rotated_secret_signs_beside_the_old_one_only_where_asked_for(
    stored_client: Client, running_app: FastAPI
) -> None:
    async with receiving() as receiver:
        made = (await create(stored_client, url=receiver.url)).json()
        path = f"{ENDPOINTS}/{made['id']}"
        kept = (
            await stored_client.post(f"{path}/rotate_secret", json={"keep_old_secret_active_for_24_hours": True})
        ).json()
        await running_app.state.webhooks.notify("local", "batch.completed", {"id": "x"})
        await receiver.has(1)
        new = (await stored_client.post(f"{path}/rotate_secret", headers=JSON)).json()
        await running_app.state.webhooks.notify("local", "batch.completed", {"id": "x"})
        first, second = await receiver.has(2)
    with openai.OpenAI(api_key="none") as client:
        for secret in (made["signing_secret"], kept["signing_secret"]):
            client.webhooks.verify_signature(first.body, first.headers, secret=secret)
        client.webhooks.verify_signature(second.body, second.headers, secret=new["signing_secret"])
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.verify_signature(second.body, second.headers, secret=kept["signing_secret"])
