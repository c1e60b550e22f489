"""Presets, and what a chat's own parameters and system prompt do to its runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


def preset(**values: Any) -> dict[str, Any]:
    return {"id": new_id(), "name": "Precise", **values}


async def test_keeping_changing_and_deleting(served: Served) -> None:
    asked = preset(model="SCRIPTED", system_prompt="Be brief.", parameters={"temperature": 0, "stop": ["\n\n"]})
    made = await served.call("POST", "/api/presets", asked, expect=201)
    assert (made["model"], made["parameters"]) == ("scripted", {"temperature": 0, "stop": ["\n\n"]})
    assert await served.call("POST", "/api/presets", asked, expect=200) == made
    for other in ({"name": "Another"}, {"model": None}, {"is_default": True}, {"parameters": {}}):
        await served.call("POST", "/api/presets", asked | other, expect=409)
    bold = await served.call("POST", "/api/presets", preset(name="bold", is_default=True), expect=201)
    path = f"/api/presets/{made['id']}"
    changed = await served.call("PATCH", path, {"name": "Calm", "is_default": True, "system_prompt": None})
    assert (changed["name"], changed["system_prompt"], changed["model"]) == ("Calm", None, "scripted")
    listed = (await served.call("GET", "/api/presets"))["presets"]
    assert [(each["id"], each["is_default"]) for each in listed] == [(bold["id"], False), (made["id"], True)]
    await served.call("DELETE", path, expect=204)
    await served.call("DELETE", path, expect=404)
    await served.call("PATCH", path, {"name": "Gone"}, expect=404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"model": "unheard-of"},
        {"parameters": {"temperature": 2.5}},
        {"parameters": {"stop": [""]}},
        {"parameters": {"stop": ["x"] * 17}},
        {"parameters": {"presence_penalty": 3}},
        {"parameters": {"thinking": "perhaps"}},
        {"system_prompt": "\0"},
        {"system_prompt": "x" * 100_001},
    ],
    ids=str,
)
async def test_what_is_malformed_is_refused(served: Served, wrong: dict[str, Any]) -> None:
    expect = 404 if "model" in wrong else 400
    error = (await served.call("POST", "/api/presets", preset() | wrong, expect=expect))["error"]
    assert error["param"].split(".")[0] in wrong
    assert (await served.call("GET", "/api/presets"))["presets"] == []


async def test_a_chats_own_parameters_and_prompt_count_unless_a_run_brings_its_own(served: Served) -> None:
    body = {
        "message": {"id": new_id(), "parent_id": None, "text": "hello"},
        "run": {"id": new_id(), "message_id": new_id()},
        "chat": {"system_prompt": "Rhyme.", "parameters": {"temperature": 1.5, "stop": ["END"]}},
    }
    path = f"/api/chats/{served.chat_id}"
    created = await served.call("POST", f"{path}/messages", body, expect=201)
    assert (created["chat"]["system_prompt"], created["chat"]["parameters"]["temperature"]) == ("Rhyme.", 1.5)
    request = (await served.backend.reply(body["run"]["id"])).request
    assert (request.params.temperature, request.params.stop) == (1.5, ("END",))
    assert [(each.role, each.text) for each in request.messages or ()] == [("system", "Rhyme."), ("user", "hello")]

    async def again(**asked: Any) -> Any:
        run = {"id": new_id(), "message_id": new_id(), "parent_id": body["message"]["id"], **asked}
        await served.call("POST", f"{path}/runs", run, expect=201)
        return (await served.backend.reply(run["id"])).request

    request = await again(parameters={"thinking": False}, system_prompt="")
    assert (request.params.temperature, request.params.stop, request.reasoning_effort) == (0.6, (), "none")
    assert [each.role for each in request.messages] == ["user"]
    assert (await again()).params.temperature == 1.5

    cleared = await served.call("PATCH", path, {"parameters": None, "system_prompt": None})
    assert (cleared["parameters"], cleared["system_prompt"]) == (None, None)
    assert (await again()).params.temperature == 0.6
    await served.call("PATCH", path, {"parameters": {"min_p": 2}}, expect=400)
