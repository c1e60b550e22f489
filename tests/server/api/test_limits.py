"""Answers in chats are limited and counted like all others."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from myna.server.identity import Limits
from myna.server.meter import WORK
from myna.server.rates import Rates
from myna.store.database import LEAST_FREE
from myna.store.options import Options
from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


def used(served: Served) -> int:
    return served.meter.usage.today("local")


async def test_the_tokens_of_a_chat_count(served: Served) -> None:
    await served.exchange("Hi", "Hello")
    assert used(served) == 7 + len("Hello"), "the scripted model counts characters, and 7 tokens for any prompt"
    created, reply = await served.ask("Go on")
    reply.start()
    reply.say("and so")
    reply.finish("length")
    if (log := served.services.runs.live("local", created["run"]["id"])) is not None:
        await log.ended.wait()
    assert used(served) == 2 * 7 + len("Hello") + len("and so")


async def test_a_chat_beyond_the_limit_is_refused_and_nothing_of_it_stored(served: Served) -> None:
    served.server.config.app.state.options.current = Options(requests_per_minute=2)
    served.meter.rates = Rates(clock=lambda: 0.0)  # where no time passes, nothing is given back
    first = await served.exchange("one", "uno")
    await served.exchange("two", "dos", first["messages"][1]["id"])
    body = {
        "message": {"id": new_id(), "parent_id": None, "text": "three"},
        "run": {"id": new_id(), "message_id": new_id()},
    }
    refused = await served.call("POST", f"/api/chats/{served.chat_id}/messages", body, expect=429)
    assert refused["error"]["code"] == "rate_limit_exceeded"
    again = {"parent_id": first["messages"][0]["id"], "id": new_id(), "message_id": new_id()}
    await served.call("POST", f"/api/chats/{served.chat_id}/runs", again, expect=429)
    opened = await served.call("GET", f"/api/chats/{served.chat_id}")
    assert len(opened["messages"]) == 4


async def test_what_costs_the_database_much_has_its_pace(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await served.exchange("one", "uno")
    answer = first["messages"][1]["id"]
    served.meter._work = Rates(clock=lambda: 0.0)
    for work in WORK:
        monkeypatch.setitem(WORK, work, Limits(requests_per_minute=2))
    asked = [
        lambda: ("POST", f"/api/chats/{served.chat_id}/fork", {"id": new_id(), "message_id": answer}, 201),
        lambda: ("POST", f"/api/messages/{answer}/copy", {"id": new_id(), "text": "eins"}, 201),
    ]
    for ask in asked:
        *request, expected = ask()
        await served.call(*request, expect=expected)
    for ask in asked:
        refused = await served.call(*ask()[:3], expect=429)
        assert refused["error"]["code"] == "rate_limit_exceeded"
    for expected in (200, 200, 429):
        await served.call("GET", "/api/search?q=uno", expect=expected)
    assert len((await served.call("GET", "/api/chats"))["chats"]) == 2


async def test_no_chat_is_copied_onto_a_disk_that_is_nearly_full(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await served.exchange("one", "uno")
    fork = {"id": new_id(), "message_id": first["messages"][1]["id"]}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=LEAST_FREE + 1))
    refused = await served.call("POST", f"/api/chats/{served.chat_id}/fork", fork, expect=507)
    assert refused["error"]["code"] == "disk_full"
    await served.exchange("two", "dos", fork["message_id"])
    monkeypatch.undo()
    await served.call("POST", f"/api/chats/{served.chat_id}/fork", fork, expect=201)
