"""Deliveries: what is sent, how often, and what a restart makes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from myna.errors import NotFound
from myna.server.webhooks import WebhookService, open_webhooks, service
from myna.server.webhooks.sender import SendFailed
from myna.server.webhooks.service import GIVE_UP_SECONDS, private_targets, retry_seconds
from myna.server.webhooks.signing import hint, new_secret
from myna.settings import Settings
from myna.store import webhooks
from myna.store.database import Database, opened
from myna.store.pages import new_id
from myna.store.records import now
from myna.store.webhooks import Endpoint
from tests.patience import WAIT_SECONDS
from tests.server.webhooks.receiver import Received, Receiver, receiving

EVENT = "batch.completed"


@asynccontextmanager
async def running(data_dir: Path, **settings: Any) -> AsyncIterator[WebhookService]:
    async with opened(data_dir) as database, open_webhooks(database, Settings(data_dir=data_dir, **settings)) as hooks:
        yield hooks


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[WebhookService]:
    async with running(tmp_path) as opened_hooks:
        yield opened_hooks


async def add(hooks: WebhookService, receiver: Receiver, owner: str = "ann", **values: Any) -> Endpoint:
    given = {
        "id": new_id("we_"), "name": "mine", "url": receiver.url, "event_types": (EVENT,), "secret": new_secret(),
        "old_secret": None, "old_secret_until": None, "private": True, "created_at": 1, "updated_at": 1,
    }  # fmt: skip
    endpoint = Endpoint(**given | values)
    async with hooks.database.write(owner) as scope:
        await webhooks.add(scope, endpoint)
    return endpoint


async def waiting(database: Database) -> list[tuple[Any, ...]]:
    """(attempts, next time) of what is yet to be delivered."""
    async with database.transaction() as transaction:
        rows = await transaction.connection.exec_driver_sql("SELECT attempts, next_at FROM webhook_deliveries")
        return [tuple(row) for row in rows]


async def delivered(hooks: WebhookService) -> None:
    """Wait until nothing is to be delivered."""
    await tried(hooks)


async def tried(hooks: WebhookService, *attempts: int) -> list[tuple[Any, ...]]:
    """Wait until what is left was tried so often each; (attempts, next time) of it."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            rows = await waiting(hooks.database)
            if [row[0] for row in rows] == list(attempts):
                return rows
            await asyncio.sleep(0.01)


def unwrap(received: Received, secret: str) -> Any:
    with openai.OpenAI(api_key="none", webhook_secret=secret) as client:
        return client.webhooks.unwrap(received.body, received.headers)


async def test_an_event_arrives_once_and_the_official_client_believes_it(hooks: WebhookService) -> None:
    async with receiving() as receiver:
        endpoint = await add(hooks, receiver)
        await add(hooks, receiver, event_types=("response.failed",))
        await add(hooks, receiver, owner="ben")
        await hooks.notify("ann", EVENT, {"id": "batch_ä"})
        [received] = await receiver.has(1)
        await delivered(hooks)
    assert receiver.received == [received]
    event = unwrap(received, endpoint.secret)
    assert (event.type, event.data.id, event.object) == (EVENT, "batch_ä", "event")
    assert received.path == "/hook?token=x"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrap(received, new_secret())


async def test_an_old_secret_signs_as_long_as_it_is_kept(hooks: WebhookService) -> None:
    old, older = new_secret(), new_secret()
    async with receiving() as receiver:
        first = await add(hooks, receiver, old_secret=old, old_secret_until=1 << 50)
        await hooks.notify("ann", EVENT, {"id": "x"})
        [received] = await receiver.has(1)
        for secret in (first.secret, old):
            assert unwrap(received, secret).data.id == "x"
        second = await add(hooks, receiver, owner="ben", old_secret=older, old_secret_until=1)
        await hooks.notify("ben", EVENT, {"id": "y"})
        received = (await receiver.has(2))[1]
        assert unwrap(received, second.secret).data.id == "y"
        with pytest.raises(openai.InvalidWebhookSignatureError):
            unwrap(received, older)


async def test_it_is_stored_with_what_it_tells_of_or_not_at_all(hooks: WebhookService) -> None:
    async with receiving() as receiver:
        await add(hooks, receiver)
        with pytest.raises(NotFound):
            await undone(hooks)
        async with hooks.database.write("ann") as scope:
            await hooks.notify("ann", EVENT, {"id": "done"}, scope=scope)
        [received] = await receiver.has(1)
        await delivered(hooks)
    assert json.loads(received.body)["data"] == {"id": "done"}


async def undone(hooks: WebhookService) -> None:
    async with hooks.database.write("ann") as scope:
        await hooks.notify("ann", EVENT, {"id": "undone"}, scope=scope)
        raise NotFound("the batch is gone")


@pytest.mark.parametrize("answer", [b"500 Oops", b"404 Not Found", b"302 Found\r\nLocation: http://127.0.0.1:1/"])
async def test_what_did_not_arrive_is_sent_again_under_the_same_id(
    hooks: WebhookService, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(service, "retry_seconds", lambda attempts: 0)
    async with receiving(answer, answer) as receiver:
        endpoint = await add(hooks, receiver)
        await hooks.notify("ann", EVENT, {"id": "x"})
        received = await receiver.has(3)
        await delivered(hooks)
    assert len({each.headers["webhook-id"] for each in received}) == 1
    assert len({each.body for each in received}) == 1
    assert unwrap(received[2], endpoint.secret).data.id == "x"


async def test_a_restart_goes_on_where_the_server_was(tmp_path: Path) -> None:
    async with receiving() as receiver:
        receiver.gate = asyncio.Event()
        async with running(tmp_path) as hooks:
            endpoint = await add(hooks, receiver)
            for number in range(3):
                await hooks.notify("ann", EVENT, {"id": f"batch_{number}"})
            await receiver.has(1)  # one is on its way, and nobody knows whether it arrives
        receiver.gate.set()
        async with running(tmp_path) as hooks:
            received = await receiver.has(4)
            await delivered(hooks)
    assert [unwrap(each, endpoint.secret).data.id for each in received] == ["batch_0", "batch_0", "batch_1", "batch_2"]
    assert received[0].headers["webhook-id"] == received[1].headers["webhook-id"]


async def test_an_endpoint_that_does_not_answer_holds_up_no_other(hooks: WebhookService) -> None:
    async with receiving() as silent, receiving() as receiver:
        silent.gate = asyncio.Event()
        await add(hooks, silent)
        await add(hooks, receiver)
        for number in range(20):
            await hooks.notify("ann", EVENT, {"id": str(number)})
        received = await receiver.has(20)
        assert [json.loads(each.body)["data"]["id"] for each in received] == [str(number) for number in range(20)]
        assert len(silent.received) == 1
        silent.gate.set()
        await silent.has(20)
        await delivered(hooks)


async def test_it_waits_longer_each_time_and_gives_up_after_days(
    hooks: WebhookService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert [retry_seconds(attempts) for attempts in (1, 2, 3, 12, 13, 1000)] == [5, 10, 20, 10_240, 14_400, 14_400]
    async with receiving(b"500 Oops", b"500 Oops") as receiver:
        await add(hooks, receiver)
        await hooks.notify("ann", EVENT, {"id": "x"})
        await receiver.has(1)
        [(_, next_at)] = await tried(hooks, 1)
        async with hooks.database.transaction() as transaction:
            await transaction.connection.exec_driver_sql(
                f"UPDATE webhook_deliveries SET next_at = 0, created_at = {next_at - GIVE_UP_SECONDS * 1000}"
            )
        hooks._wake.set()
        await receiver.has(2)
        await delivered(hooks)
    assert "given up" in caplog.text
    assert "token" not in caplog.text


async def test_who_administers_no_more_reaches_no_further_than_others(tmp_path: Path) -> None:
    """The endpoint was made when its owner was an admin; what is sent later is sent for a member."""
    admins = {"ann"}
    async with opened(tmp_path) as database, receiving() as receiver:
        settings = Settings(data_dir=tmp_path)
        async with open_webhooks(database, settings, may_reach=lambda owner: owner in admins) as hooks:
            endpoint = await add(hooks, receiver)
            await hooks.notify("ann", EVENT, {"id": "before"})
            await delivered(hooks)
            admins.clear()
            await hooks.notify("ann", EVENT, {"id": "after"})
            await tried(hooks, 1)
            with pytest.raises(SendFailed, match="https"):
                await hooks.test("ann", endpoint, EVENT)
    assert len(receiver.received) == 1


async def test_nothing_goes_where_it_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member's endpoint, an owner's where the server serves a network, and a name that changed its address."""
    async with receiving() as receiver:
        async with running(tmp_path / "loopback") as hooks:
            await add(hooks, receiver, private=False)
            await hooks.notify("ann", EVENT, {"id": "member's"})
            await tried(hooks, 1)
        async with running(tmp_path / "network", host="0.0.0.0") as hooks:
            await add(hooks, receiver)
            await hooks.notify("ann", EVENT, {"id": "owner's"})
            await tried(hooks, 1)
            await add(hooks, receiver, owner="ben", url=f"https://rebound.example:{receiver.port}/", private=False)

            async def resolve(host: str, port: int) -> list[str]:
                return ["127.0.0.1"]

            monkeypatch.setattr(hooks.sender, "_resolve", resolve)
            await hooks.notify("ben", EVENT, {"id": "rebound"})
            await tried(hooks, 1, 1)
    assert receiver.received == []


async def test_a_fault_of_ours_is_no_endless_loop(
    hooks: WebhookService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*args: object, **options: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(hooks.sender, "send", fail)
    async with receiving() as receiver:
        await add(hooks, receiver)
        await hooks.notify("ann", EVENT, {"id": "x"})
        [(_, next_at)] = await tried(hooks, 1)
    assert next_at > now()
    assert "a bug" in caplog.text


async def test_a_deleted_endpoint_gets_nothing_more(hooks: WebhookService) -> None:
    async with receiving() as receiver:
        receiver.gate = asyncio.Event()
        endpoint = await add(hooks, receiver)
        for number in range(2):
            await hooks.notify("ann", EVENT, {"id": str(number)})
        await receiver.has(1)
        async with hooks.database.write("ann") as scope:
            await webhooks.remove(scope, endpoint.id)
        receiver.gate.set()
        await delivered(hooks)
        await asyncio.gather(*hooks._sending.values())
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("settings", "private"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "webhook_private_targets": True}, True),
        ({"webhook_private_targets": False}, False),
    ],
)
def test_private_networks_are_for_servers_of_one_machine_unless_said(
    tmp_path: Path, settings: dict[str, Any], private: bool
) -> None:
    assert private_targets(Settings(data_dir=tmp_path, **settings)) is private


def test_a_hint_shows_little_of_a_secret() -> None:
    secret = new_secret()
    assert hint(secret) == f"whsec_…{secret[-4:]}"
