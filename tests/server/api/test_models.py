from __future__ import annotations

import threading

import pytest

from myna.backends.manager import ModelStatus
from myna.errors import SourcesUnreachable
from myna.server.api import library
from myna.store import speeds
from tests.runs.scripted import ScriptedModels
from tests.server.api.conftest import Served


async def test_models_on_disk_come_first(served: Served) -> None:
    listed = await served.call("GET", "/api/models")
    assert listed["default"] == "scripted"
    assert [(model["name"], model["on_disk"], model["bytes"]) for model in listed["models"]] == [
        ("scripted", True, 100),
        ("bigger", False, 1000),
        ("restricted", False, 1000),
    ]
    assert listed["models"][0]["default"]
    assert listed["models"][1]["licence"] == "mit"


async def test_what_is_loaded_is_asked_for_in_the_managers_own_thread(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[threading.Thread] = []

    def loaded(models: ScriptedModels) -> list[ModelStatus]:
        asked.append(threading.current_thread())
        return [ModelStatus("scripted", "ready"), ModelStatus("bigger", "loading")]

    monkeypatch.setattr(ScriptedModels, "loaded", loaded)
    listed = await served.call("GET", "/api/models")
    assert [model["loaded"] for model in listed["models"]] == [True, False, False]
    assert [model["state"] for model in listed["models"]] == ["ready", "loading", "absent"]
    assert set(asked) == {threading.current_thread()}


async def test_adapters_of_a_model(served: Served) -> None:
    path = "/api/models/scripted/adapters"
    loaded = await served.call("POST", path, {"name": "pirate", "path": "pirate"}, expect=201)
    assert loaded["adapters"] == ["pirate"]
    assert (await served.call("DELETE", f"{path}/pirate"))["adapters"] == []
    await served.call("DELETE", f"{path}/pirate", expect=404)
    await served.call("POST", path, {"name": "pirate"}, expect=400)
    await served.call("POST", "/api/models/unheard-of/adapters", {"name": "pirate", "path": "pirate"}, expect=404)


async def test_fetching_a_model_once_with_progress(served: Served) -> None:
    async with served.tab() as tab:
        await tab.send(type="lists", after=0)
        started = await served.call("POST", "/api/models/bigger/pull", expect=202)
        assert started["pull"]["state"] == "running"
        await served.call("POST", "/api/models/bigger/pull", expect=202)
        await tab.change("model", name="bigger")
        served.hub.step(400)
        while (change := await tab.change("model", name="bigger"))["data"]["pull"]["done"] != 400:
            pass
        assert change["data"]["pull"] == {
            "state": "running",
            "done": 400,
            "total": 1000,
            "bytes_per_second": 50,
            "source": "somewhere",
            "error": None,
        }
        listed = await served.call("GET", "/api/models")
        assert listed["models"][1]["pull"]["done"] == 400
        assert tab.frames[-1]["cursor"] == 0  # nothing that a tab goes on from: model changes are not stored
        served.hub.steps.put(None)
        done = await tab.change("model", name="bigger", on_disk=True)
        assert done["data"]["pull"] is None
    assert served.hub.pulls == 1
    assert (await served.call("POST", "/api/models/bigger/pull", expect=200))["on_disk"]


async def test_why_a_fetch_failed_stays_until_the_next_try(served: Served) -> None:
    async with served.tab() as tab:
        await tab.send(type="lists", after=0)
        await served.call("POST", "/api/models/bigger/pull", expect=202)
        served.hub.steps.put(SourcesUnreachable("bigger", [("somewhere", "no route to host")]))
        while (change := await tab.change("model", name="bigger"))["data"]["pull"]["state"] != "failed":
            pass
        assert change["data"]["pull"]["error"]["code"] == "sources_unreachable"
        assert "no route to host" in change["data"]["pull"]["error"]["message"]
        listed = await served.call("GET", "/api/models")
        assert listed["models"][1]["pull"]["state"] == "failed"
        await served.call("POST", "/api/models/bigger/pull", expect=202)
        served.hub.steps.put(None)
        await tab.change("model", name="bigger", on_disk=True)


async def test_cancelling_a_fetch(served: Served) -> None:
    await served.call("POST", "/api/models/bigger/pull", expect=202)
    served.hub.step(100)
    cancelled = await served.call("POST", "/api/models/bigger/pull/cancel")
    assert (cancelled["on_disk"], cancelled["pull"]) == (False, None)
    listed = await served.call("GET", "/api/models")
    assert listed["models"][1]["pull"] is None
    await served.call("POST", "/api/models/bigger/pull/cancel", expect=409)


async def test_what_is_fetched_by_its_place_is_listed_until_it_is_given_up(served: Served) -> None:
    path = "/api/models/hf:owner%2Fbird/pull"
    await served.call("POST", path, expect=202)
    listed = (await served.call("GET", "/api/models"))["models"]
    assert (listed[-1]["name"], listed[-1]["pull"]["state"]) == ("hf:owner/bird", "running"), "also after a reload"
    await served.call("POST", f"{path}/cancel")
    listed = (await served.call("GET", "/api/models"))["models"]
    assert "hf:owner/bird" not in [model["name"] for model in listed]


async def test_a_server_that_ends_does_not_wait_for_a_fetch(served: Served) -> None:
    await served.call("POST", "/api/models/bigger/pull", expect=202)  # the fixture ends the server under it


async def test_an_unknown_model_suggests_the_nearest(served: Served) -> None:
    error = await served.call("POST", "/api/models/scriptd/pull", expect=404)
    assert "Did you mean scripted?" in error["error"]["message"]
    await served.call("POST", "/api/models/hf:owner/name:file.gguf/pull/cancel", expect=404)


async def test_the_session_says_what_a_tab_needs(served: Served) -> None:
    session = await served.call("GET", "/api/session")
    assert session["default_model"] == "scripted"
    assert session["user"]["id"] == "local"
    assert session["list_cursor"] == 0


async def test_the_speed_of_a_model_is_that_of_its_answers(served: Served) -> None:
    async def speed() -> float | None:
        listed = (await served.call("GET", "/api/models"))["models"]
        speed: float | None = listed[0]["tokens_per_second"]
        return speed

    assert await speed() is None
    await served.exchange("hello", "briefly")
    assert await speed() is None  # too short to say much
    await served.exchange("hello", "x" * 101)  # in half a second, the first token apart
    assert await speed() == 200
    async with served.services.database.transaction() as transaction:
        assert [each.model for each in await speeds.load(transaction)] == ["scripted"]


async def test_loading_unloading_and_deleting(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []

    async def unload(models: ScriptedModels, name: str) -> None:
        did.append(f"unload {name}")

    async def get(models: ScriptedModels, name: str | None = None) -> object:
        did.append(f"load {name}")
        return served.backend

    monkeypatch.setattr(ScriptedModels, "unload", unload)
    monkeypatch.setattr(ScriptedModels, "get", get)
    assert (await served.call("POST", "/api/models/SCRIPTED/load", expect=202))["name"] == "scripted"
    await served.call("POST", "/api/models/bigger/load", expect=404)
    await served.call("POST", "/api/models/scripted/unload")
    monkeypatch.setattr(library, "remove_model", lambda hub, name: did.append(f"remove {name}"))
    await served.call("DELETE", "/api/models/scripted", expect=204)
    await served.call("DELETE", "/api/models/bigger", expect=404)
    await served.call("POST", "/api/models/bigger/pull", expect=202)
    assert did == ["load scripted", "unload scripted", "unload scripted", "remove scripted"]


async def test_a_models_card_says_what_its_authors_say(served: Served) -> None:
    card = await served.call("GET", "/api/models/bigger/card")
    assert (card["trained_on"], card["limits"], card["sources"]) == ("What there was", "Errs", ["somewhere"])
    assert (card["model"]["name"], card["licence_texts"]) == ("bigger", [])
    path = served.hub.find("scripted")
    assert path is not None
    path.with_name("LICENSE").write_text("Do no harm.")
    assert (await served.call("GET", "/api/models/scripted/card"))["licence_texts"] == [
        {"file": "LICENSE", "text": "Do no harm."}
    ]
    memory = (await served.call("GET", "/api/models"))["memory"]
    assert memory["total"] >= memory["available"] > 0
