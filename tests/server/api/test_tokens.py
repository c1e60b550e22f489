from __future__ import annotations

import asyncio

from myna.engine.request import TokenLogprob
from tests.patience import WAIT_SECONDS
from tests.runs.conversation import new_id
from tests.runs.scripted import tokens_of
from tests.server.api.conftest import Served

SCORED = (
    TokenLogprob(72, b"H", -0.5, ((72, b"H", -0.5), (7, b"<end>", -1.5))),
    TokenLogprob(105, b"\xc3", -2.0, ((1, b"o", -0.25), (105, b"\xc3", -2.0))),
)


async def test_an_answers_tokens_come_with_their_rivals(served: Served) -> None:
    created = await served.exchange("hello", "Hi")
    await served.backend.arrived.get()
    path = f"/api/messages/{created['messages'][1]['id']}/tokens"
    before = served.meter.usage.today("local")
    asking = asyncio.create_task(served.call("POST", path, {"top": 2}))
    reply = await served.backend.arrived.get()
    reply.start(prompt_tokens=9, prompt_logprobs=SCORED, control_ids=(7,))
    reply.finish("length")
    answer = await asking
    assert reply.request.begun == tokens_of("Hi")
    assert [message.text for message in reply.request.messages or ()][-1] == "hello"
    assert (reply.request.params.max_tokens, reply.request.params.prompt_logprobs) == (0, 2)
    assert reply.request.background
    assert answer["tokens"][0] == {
        "id": 72,
        "text": "H",
        "bytes": None,
        "logprob": -0.5,
        "control": False,
        "top": [
            {"id": 72, "text": "H", "bytes": None, "logprob": -0.5, "control": False},
            {"id": 7, "text": "<end>", "bytes": None, "logprob": -1.5, "control": True},
        ],
    }
    assert (answer["tokens"][1]["text"], answer["tokens"][1]["bytes"]) == (None, [0xC3])
    rest = {name: answer[name] for name in ("first", "total", "model", "generated", "unchanged")}
    assert rest == {"first": 0, "total": 2, "model": "scripted", "generated": True, "unchanged": True}
    assert served.meter.usage.today("local") == before + 9, "it counts as use of the model"


async def test_scoring_ends_when_nobody_waits_for_it(served: Served) -> None:
    created = await served.exchange("hello", "Hi")
    await served.backend.arrived.get()
    path = f"/api/messages/{created['messages'][1]['id']}/tokens"
    asking = asyncio.create_task(served.call("POST", path, {}))
    reply = await served.backend.arrived.get()
    asking.cancel()
    await asyncio.wait_for(reply.closed.wait(), WAIT_SECONDS)


async def test_what_cannot_be_scored_is_named(served: Served) -> None:
    created = await served.exchange("hello", "Hi")
    asked, answered = (message["id"] for message in created["messages"])
    error = await served.call("POST", f"/api/messages/{asked}/tokens", {}, expect=400)
    assert "is no answer" in error["error"]["message"]
    error = await served.call("POST", f"/api/messages/{answered}/tokens", {"first": 5}, expect=400)
    assert error["error"]["param"] == "first"
    await served.call("POST", f"/api/messages/{new_id()}/tokens", {}, expect=404)
    for field, value in (("first", -1), ("count", 0), ("count", 1025), ("top", 11), ("temperature", 1)):
        error = await served.call("POST", f"/api/messages/{answered}/tokens", {field: value}, expect=400)
        assert error["error"]["param"] == field
    created, _ = await served.ask("more")
    error = await served.call("POST", f"/api/messages/{created['messages'][1]['id']}/tokens", {}, expect=409)
    assert "still being written" in error["error"]["message"]
