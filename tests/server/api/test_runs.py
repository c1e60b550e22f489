from __future__ import annotations

from myna.models.dialects.answer import AnswerSyntax
from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


async def test_regenerating_makes_a_branch(served: Served) -> None:
    created = await served.exchange("one", "uno")
    request = {"id": new_id(), "message_id": new_id(), "parent_id": created["messages"][0]["id"], "model": "bigger"}
    again = await served.call("POST", f"/api/chats/{served.chat_id}/runs", request, expect=201)
    assert again["messages"][0]["parent_id"] == created["messages"][0]["id"]
    assert (again["run"]["model"], again["chat"]["model"]) == ("bigger", "bigger")
    sent_again = await served.call("POST", f"/api/chats/{served.chat_id}/runs", request, expect=200)
    assert sent_again["run"] == again["run"]


async def test_stopping_and_carrying_on(served: Served) -> None:
    created, reply = await served.ask("count")
    run_id, answer_id = created["run"]["id"], created["messages"][1]["id"]
    async with served.tab() as tab:
        await tab.send(type="follow", run=run_id, after=0)
        reply.start()
        reply.say("one, ")
        await tab.next("event")
        while tab.text(run_id) != "one, ":
            await tab.next("event")
        stopped = await served.call("POST", f"/api/runs/{run_id}/stop")
        assert stopped["status"] == "stopped"
        assert (await tab.end(run_id))["event"]["status"] == "stopped"

        request = {"id": new_id(), "continue": answer_id}
        carried = await served.call("POST", f"/api/chats/{served.chat_id}/runs", request, expect=201)
        assert carried["messages"][0]["parts"] == [{"type": "text", "text": "one, "}]
        assert carried["run"]["last_event"] == 0
        await tab.send(type="follow", run=request["id"], after=0)
        reply = await served.backend.reply(request["id"])
        reply.start()
        reply.say("two")
        reply.finish()
        await tab.end(request["id"])
        assert tab.text(request["id"]) == "two"
    opened = await served.call("GET", f"/api/chats/{served.chat_id}")
    assert opened["messages"][1]["parts"] == [{"type": "text", "text": "one, two"}]
    await served.call("POST", f"/api/chats/{served.chat_id}/runs", {"id": new_id(), "continue": answer_id}, expect=409)


async def test_a_run_request_asks_for_one_thing(served: Served) -> None:
    created = await served.exchange("one", "uno")
    path = f"/api/chats/{served.chat_id}/runs"
    asked, answer = (message["id"] for message in created["messages"])
    for request in (
        {"id": new_id()},
        {"id": new_id(), "message_id": new_id()},
        {"id": new_id(), "continue": answer, "parent_id": asked, "message_id": new_id()},
        {"id": new_id(), "message_id": new_id(), "parent_id": answer},
        {"id": new_id(), "message_id": new_id(), "parent_id": asked, "parameters": {"dialect": ""}},
    ):
        await served.call("POST", path, request, expect=400)
    await served.call("POST", path, {"id": new_id(), "continue": new_id()}, expect=404)
    await served.call("POST", path, {"id": new_id(), "message_id": new_id(), "parent_id": new_id()}, expect=404)
    await served.call("POST", f"/api/runs/{new_id()}/stop", expect=404)


async def test_an_answer_is_varied_from_a_token_on(served: Served) -> None:
    created = await served.exchange("name a bird", "a parrot")
    source = created["messages"][1]["id"]
    place = {"message_id": source, "token": 2, "alternative": ord("m")}
    body = {"id": new_id(), "message_id": new_id(), "continue_from": place}
    path = f"/api/chats/{served.chat_id}/runs"
    varied = await served.call("POST", path, body, expect=201)
    assert varied["messages"][0]["parts"] == [{"type": "text", "text": "a m"}]
    assert varied["messages"][0]["parent_id"] == created["messages"][0]["id"]
    assert (await served.call("POST", path, body, expect=200))["run"]["id"] == body["id"]
    for wrong in (
        {"continue_from": place},
        {"message_id": new_id(), "continue_from": place, "parent_id": new_id()},
        {"message_id": new_id(), "continue_from": place | {"token": 99}},
        {"message_id": new_id(), "continue_from": place | {"text": "m"}},
    ):
        await served.call("POST", path, {"id": new_id(), **wrong}, expect=400)
    await served.call(
        "POST", path, body | {"id": new_id(), "continue_from": place | {"message_id": new_id()}}, expect=404
    )


async def test_what_was_thought_comes_as_a_part_of_its_own(served: Served) -> None:
    async with served.tab() as tab:
        created, reply = await served.ask("think")
        await tab.send(type="follow", run=created["run"]["id"], after=0)
        reply.start(syntax=AnswerSyntax(thinks=True))
        for piece in ("<think>", "so", "</think>", "Yes"):
            reply.say(piece)
        reply.finish()
        await tab.end(created["run"]["id"])
        events = [frame["event"] for frame in tab.frames if frame["type"] == "event"]
        told = [(event["kind"], event["text"]) for event in events if event.get("text")]
        assert told == [("reasoning", "so"), ("text", "Yes")]
        assert events[-1]["usage"]["reasoning_seconds"] >= 0
    opened = await served.call("GET", f"/api/chats/{served.chat_id}")
    assert opened["messages"][1]["parts"] == [
        {"type": "reasoning", "text": "so"},
        {"type": "text", "text": "Yes"},
    ]
