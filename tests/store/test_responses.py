"""Stored responses: their items in order, chains of them, and the logs of those that run in background."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from myna.errors import InvalidParameter, NotFound
from myna.store import conversations, pages, responses
from myna.store.database import Database
from myna.store.records import now
from myna.store.responses import NO_EVENTS, StoredResponse
from tests.store.rows import OWNER


def item(name: str) -> dict[str, Any]:
    return {"id": name, "type": "message"}


def response(name: str, previous: str | None = None, **values: Any) -> StoredResponse:
    whole = StoredResponse(name, previous, "completed", False, NO_EVENTS, 1, {"id": name})
    return dataclasses.replace(whole, **values)


async def test_a_chain_is_all_that_was_said(database: Database) -> None:
    async with database.write(OWNER) as scope:
        await responses.add(scope, response("a"), [item("a1"), item("a2")], [item("a3")])
        await responses.add(scope, response("b", "a"), [item("b1")], [item("b2")])
        await responses.add(scope, response("other", "a"), [item("o1")])
        await responses.add(scope, response("c", "b"), [item("c1")], [item("c2")])
    async with database.read(OWNER) as scope:
        assert [each["id"] for each in await responses.chain(scope, "c")] == [
            "a1", "a2", "a3", "b1", "b2", "c1", "c2",
        ]  # fmt: skip
        assert await responses.given(scope, "c") == [item("c1")]
        assert await responses.output(scope, "c") == [item("c2")]
        assert await responses.items_of_ids(scope, ["b2", "x"]) == {"b2": item("b2")}


async def test_a_broken_chain_says_where(database: Database) -> None:
    async with database.write(OWNER) as scope:
        await responses.add(scope, response("a"), [item("a1")])
        await responses.add(scope, response("b", "a"), [item("b1")])
        await responses.remove(scope, "a")
        with pytest.raises(InvalidParameter, match="response a, from which b goes on, was deleted"):
            await responses.chain(scope, "b")
        with pytest.raises(NotFound) as error:
            await responses.chain(scope, "a")
        assert error.value.param == "previous_response_id"
        assert await responses.items_of_ids(scope, ["a1"]) == {}


async def test_no_more_is_read_than_the_memory_should_hold(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "READ_CHARACTERS", 2_500)
    long = [item(name) | {"text": "x" * 1_000} for name in ("one", "two", "three")]
    async with database.write(OWNER) as scope:
        await responses.add(scope, response("a"), long[:2])
        await responses.add(scope, response("b", "a"), long[2:])
        await conversations.create(scope, "conv_1", {}, long[:2])
    async with database.read(OWNER) as scope:
        assert await responses.chain(scope, "a") == await conversations.history(scope, "conv_1") == long[:2]
        with pytest.raises(InvalidParameter, match="read at once"):
            await responses.chain(scope, "b")
        with pytest.raises(InvalidParameter, match="read at once"):
            await responses.items_of_ids(scope, ["one", "two", "three"])
    async with database.write(OWNER) as scope:
        await conversations.append(scope, "conv_1", long[2:])
        with pytest.raises(InvalidParameter, match="conv_1 holds"):
            await conversations.history(scope, "conv_1")


async def test_an_open_response_comes_to_its_end(database: Database) -> None:
    queued = response("a", status="queued", background=True, ended_at=None)
    async with database.write(OWNER) as scope:
        await responses.add(scope, queued, [item("a1")])
        await responses.begin(scope, "a", {"id": "a", "status": "in_progress"})
        await responses.append_events(scope.transaction, [(OWNER, "a", 0, b"zero"), (OWNER, "a", 1, b"one")])
    async with database.transaction() as transaction:
        ((owner, found),) = await responses.left_open(transaction, None)
        assert (owner, found.status, found.is_open) == (OWNER, "in_progress", True)
        scope = transaction.owned_by(OWNER)
        await responses.finish(scope, "a", {"id": "a", "status": "completed"}, [item("a2")], last_event=1)
        assert await responses.left_open(transaction, None) == []
    async with database.read(OWNER) as scope:
        found = await responses.get(scope, "a")
        assert (found.status, found.last_event, found.is_open) == ("completed", 1, False)
        assert await responses.output(scope, "a") == [item("a2")]
        assert await responses.events(scope, "a", NO_EVENTS, 10) == [(0, b"zero"), (1, b"one")]
        assert await responses.events(scope, "a", 0, 10) == [(1, b"one")]


async def test_what_is_deleted_does_not_come_back(database: Database) -> None:
    async with database.write(OWNER) as scope:
        await responses.add(scope, response("a", status="queued", ended_at=None), [item("a1")])
        await responses.remove(scope, "a")
        await responses.finish(scope, "a", {"status": "completed"}, [item("a2")], last_event=1)
        assert await responses.find(scope, "a") is None
        with pytest.raises(NotFound):
            await responses.remove(scope, "a")


async def test_only_old_logs_are_dropped(database: Database) -> None:
    old = now() - 1000 * responses.KEEP_EVENTS_SECONDS - 1
    async with database.write(OWNER) as scope:
        for name, ended in (("old", old), ("young", now()), ("open", None)):
            await responses.add(scope, response(name, background=True, last_event=0, ended_at=ended), [item(name)])
            await responses.append_events(scope.transaction, [(OWNER, name, 0, b"zero")])
        await responses.drop_old_events(scope.transaction)
    async with database.read(OWNER) as scope:
        left = {name for name in ("old", "young", "open") if await responses.events(scope, name, NO_EVENTS, 1)}
    assert left == {"young", "open"}
