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


async def make(served: Served, *titles: str) -> list[str]:
    """Chats with these titles, oldest first."""
    ids = []
    for title in titles:
        served.chat_id = new_id()
        ids.append(served.chat_id)
        await served.exchange(title, "yes")
    return ids


async def listed(served: Served, query: str = "") -> list[str]:
    return [chat["title"] for chat in (await served.call("GET", f"/api/chats{query}"))["chats"]]


async def test_an_archived_chat_comes_back_when_it_is_talked_in(served: Served) -> None:
    first = await served.exchange("one", "uno")
    path = f"/api/chats/{served.chat_id}"
    assert (await served.call("PATCH", path, {"archived": True}))["archived_at"] is not None
    more = await served.exchange("two", "dos", first["messages"][1]["id"])
    assert more["chat"]["archived_at"] is None
    assert [chat["id"] for chat in (await served.call("GET", "/api/chats?archived=false"))["chats"]] == [served.chat_id]


async def test_pins_archive_and_projects_narrow_the_list(served: Served) -> None:
    plain, pinned, archived, inside = await make(served, "plain", "pinned", "archived", "inside")
    project = {"id": new_id(), "name": "Garden", "instructions": "Be brief."}
    assert (await served.call("POST", "/api/projects", project, expect=201))["version"] == 1
    await served.call("POST", "/api/projects", project)
    await served.call("POST", "/api/projects", {**project, "name": "Other"}, expect=409)
    await served.call("PATCH", f"/api/chats/{pinned}", {"pinned": True})
    await served.call("PATCH", f"/api/chats/{archived}", {"archived": True})
    moved = await served.call("PATCH", f"/api/chats/{inside}", {"project_id": project["id"]})
    assert moved["project_id"] == project["id"]
    assert await listed(served) == ["inside", "pinned", "plain"]
    assert await listed(served, "?archived=true") == ["archived"]
    assert await listed(served, "?pinned=true") == ["pinned"]
    assert await listed(served, "?pinned=false&project=none") == ["plain"]
    assert await listed(served, f"?project={project['id']}") == ["inside"]
    await served.call("PATCH", f"/api/chats/{plain}", {"project_id": new_id()}, expect=404)
    await served.call("PATCH", f"/api/chats/{inside}", {"project_id": None})
    assert await listed(served, "?project=none") == ["inside", "pinned", "plain"]
    await served.call("PATCH", f"/api/projects/{project['id']}", {"name": " "}, expect=400)
    await served.call("PATCH", f"/api/projects/{project['id']}", {}, expect=400)
    renamed = await served.call("PATCH", f"/api/projects/{project['id']}", {"name": "Roof"})
    assert (renamed["name"], renamed["instructions"], renamed["version"]) == ("Roof", "Be brief.", 2)
    await served.call("DELETE", f"/api/projects/{project['id']}", expect=204)
    assert (await served.call("GET", "/api/projects"))["projects"] == []


async def test_a_project_may_take_its_chats_with_it_and_tabs_hear_of_all(served: Served) -> None:
    _kept, inside = await make(served, "kept", "inside")
    project = new_id()
    async with served.tab() as tab:
        await tab.send(type="lists", after=(await served.call("GET", "/api/session"))["list_cursor"])
        await served.call("POST", "/api/projects", {"id": project, "name": "Garden"}, expect=201)
        assert (await tab.change("project", name="Garden"))["id"] == project
        await served.call("PATCH", f"/api/chats/{inside}", {"project_id": project})
        created, reply = await served.ask("and now?")
        reply.start()
        await served.call("DELETE", f"/api/projects/{project}?with_chats=delete", expect=204)
        await reply.closed.wait()
        assert (await tab.change("chat_deleted"))["id"] == inside
        assert (await tab.change("project_deleted"))["id"] == project
    assert await listed(served) == ["kept"]
    await served.call("POST", f"/api/runs/{created['run']['id']}/stop", expect=404)
    await served.call("DELETE", f"/api/projects/{project}?with_chats=delete", expect=404)


async def test_many_chats_are_changed_at_once_and_back(served: Served) -> None:
    a, b, c = await make(served, "a", "b", "c")
    gone = new_id()
    await served.call("PATCH", f"/api/chats/{a}", {"archived": True})
    done = await served.call("POST", "/api/chats/bulk", {"action": "archive", "ids": [a, b, gone]})
    assert done == {"changed": [b], "missing": [gone]}  # undone for these alone
    assert await listed(served) == ["c"]
    await served.call("POST", "/api/chats/bulk", {"action": "unarchive", "ids": done["changed"]})
    assert await listed(served) == ["c", "b"]
    pinned = await served.call("POST", "/api/chats/bulk", {"action": "pin", "all": "listed"})
    assert sorted(pinned["changed"]) == sorted([b, c])
    assert await listed(served, "?pinned=true") == ["c", "b"]
    project = {"id": new_id(), "name": "Garden"}
    await served.call("POST", "/api/projects", project, expect=201)
    move = {"action": "move", "ids": [b, c], "project_id": project["id"]}
    assert sorted((await served.call("POST", "/api/chats/bulk", move))["changed"]) == sorted([b, c])
    assert (await served.call("POST", "/api/chats/bulk", move))["changed"] == []
    assert (await served.call("POST", "/api/chats/bulk", {"action": "delete", "all": "archived"}))["changed"] == [a]
    deleted = await served.call("POST", "/api/chats/bulk", {"action": "delete", "ids": [a, c]})
    assert deleted == {"changed": [c], "missing": [a]}
    assert await listed(served) == ["b"]


async def test_deleting_all_chats_stops_what_is_being_written(served: Served) -> None:
    await make(served, "a")
    created, reply = await served.ask("and now?")
    reply.start()
    await served.call("POST", "/api/chats/bulk", {"action": "delete", "all": "every"})
    await reply.closed.wait()
    await served.call("POST", f"/api/runs/{created['run']['id']}/stop", expect=404)
    assert await listed(served) == []


async def test_a_bulk_change_that_is_unclear_changes_nothing(served: Served) -> None:
    (chat,) = await make(served, "a")
    for body in (
        {"action": "archive"},
        {"action": "archive", "ids": []},
        {"action": "archive", "ids": [chat], "all": "every"},
        {"action": "archive", "ids": [chat], "project_id": None},
        {"action": "move", "ids": [chat]},
        {"action": "burn", "ids": [chat]},
        {"action": "delete", "ids": [chat] * 5_001},
        {"action": "delete", "ids": ["x"]},
    ):
        await served.call("POST", "/api/chats/bulk", body, expect=400)
    move = {"action": "move", "ids": [chat], "project_id": new_id()}
    await served.call("POST", "/api/chats/bulk", move, expect=404)
    assert await listed(served) == ["a"]
