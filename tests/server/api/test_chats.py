from __future__ import annotations

from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


async def test_the_list_is_paged_latest_first_and_new_chats_do_not_shift_it(served: Served) -> None:
    ids = []
    for number in range(5):
        served.chat_id = new_id()
        ids.append(served.chat_id)
        await served.exchange(f"chat {number}", "yes")
    first = await served.call("GET", "/api/chats?limit=2")
    assert [chat["title"] for chat in first["chats"]] == ["chat 4", "chat 3"]
    served.chat_id = new_id()
    await served.exchange("newer", "yes")
    second = await served.call("GET", f"/api/chats?limit=2&before={first['next']}")
    assert [chat["title"] for chat in second["chats"]] == ["chat 2", "chat 1"]
    third = await served.call("GET", f"/api/chats?limit=2&before={second['next']}")
    assert [chat["title"] for chat in third["chats"]] == ["chat 0"]
    assert third["next"] is None


async def test_a_chat_opens_with_its_tree_and_open_runs(served: Served) -> None:
    created = await served.exchange("one", "uno")
    asked, answer = created["messages"]
    more, reply = await served.ask("two", answer["id"])
    reply.start()
    opened = await served.call("GET", f"/api/chats/{served.chat_id}")
    assert [message["id"] for message in opened["messages"]] == [
        asked["id"],
        answer["id"],
        *(message["id"] for message in more["messages"]),
    ]
    assert opened["messages"][1]["parts"] == [{"type": "text", "text": "uno"}]
    assert opened["messages"][1]["usage"]["finish_reason"] == "stop"
    assert opened["messages"][3]["status"] == "running"
    assert [run["id"] for run in opened["runs"]] == [more["run"]["id"]]
    assert opened["chat"]["leaf_id"] == more["messages"][1]["id"]


async def test_changing_a_chat(served: Served) -> None:
    first = await served.exchange("one", "uno")
    again = await served.exchange("one, edited", "uno!")
    path = f"/api/chats/{served.chat_id}"
    before = (await served.call("GET", path))["chat"]
    leaf = first["messages"][1]["id"]
    after = await served.call("PATCH", path, {"title": "Numbers", "model": "BIGGER", "leaf_id": leaf})
    assert (after["title"], after["model"], after["leaf_id"]) == ("Numbers", "bigger", leaf)
    assert after["titled_by"] == "user"
    assert after["version"] > before["version"]
    assert again["chat"]["leaf_id"] == again["messages"][1]["id"]


async def test_what_a_chat_cannot_become_is_refused(served: Served) -> None:
    await served.exchange("one", "uno")
    path = f"/api/chats/{served.chat_id}"
    for body, param in [
        ({}, None),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"titel": "x"}, "titel"),
        ({"title": None}, "title"),
    ]:
        answer = await served.call("PATCH", path, body, expect=400)
        assert answer["error"]["param"] == param, body
    await served.call("PATCH", path, {"leaf_id": new_id()}, expect=404)
    await served.call("PATCH", path, {"model": "nonesuch"}, expect=404)
    await served.call("PATCH", f"/api/chats/{new_id()}", {"title": "x"}, expect=404)
    for query in ("limit=0", "limit=201", "before=nonsense", "before=1.2"):
        await served.call("GET", f"/api/chats?{query}", expect=400)
    await served.call("GET", "/api/chats/not-an-id", expect=400)
    await served.call("GET", f"/api/chats/{new_id()}", expect=404)


async def test_deleting_a_chat(served: Served) -> None:
    created, reply = await served.ask("one")
    reply.start()
    await served.call("DELETE", f"/api/chats/{served.chat_id}", expect=204)
    await reply.closed.wait()
    await served.call("GET", f"/api/chats/{served.chat_id}", expect=404)
    await served.call("POST", f"/api/runs/{created['run']['id']}/stop", expect=404)
    await served.call("DELETE", f"/api/chats/{served.chat_id}", expect=404)
    assert (await served.call("GET", "/api/chats"))["chats"] == []
