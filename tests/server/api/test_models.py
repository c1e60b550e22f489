from __future__ import annotations

from types import SimpleNamespace

from myna.errors import SourcesUnreachable
from tests.server.api.conftest import Served


async def test_models_on_disk_come_first(served: Served) -> None:
    listed = await served.call("GET", "/api/models")
    assert listed["default"] == "scripted"
    assert [(model["name"], model["on_disk"], model["bytes"]) for model in listed["models"]] == [
        ("scripted", True, 100),
        ("bigger", False, 1000),
    ]
    assert listed["models"][0]["default"]
    assert listed["models"][1]["licence"] == "mit"


async def test_fetching_a_model_once_with_progress(served: Served) -> None:
    async with served.tab() as tab:
        await tab.send(type="lists", after=0)
        started = await served.call("POST", "/api/models/bigger/pull", expect=202)
        assert started["pull"]["state"] == "running"
        await served.call("POST", "/api/models/bigger/pull", expect=202)
        await tab.change("model", name="bigger")
        served.hub.step(400)
        change = await tab.change("model", name="bigger")
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
        served.hub.steps.put_nowait(None)
        done = await tab.change("model", name="bigger", on_disk=True)
        assert done["data"]["pull"] is None
    assert served.hub.pulls == 1
    assert (await served.call("POST", "/api/models/bigger/pull", expect=200))["on_disk"]


async def test_why_a_fetch_failed_stays_until_the_next_try(served: Served) -> None:
    async with served.tab() as tab:
        await tab.send(type="lists", after=0)
        await served.call("POST", "/api/models/bigger/pull", expect=202)
        served.hub.steps.put_nowait(SourcesUnreachable("bigger", [("somewhere", "no route to host")]))
        while (change := await tab.change("model", name="bigger"))["data"]["pull"]["state"] != "failed":
            pass
        assert change["data"]["pull"]["error"]["code"] == "sources_unreachable"
        assert "no route to host" in change["data"]["pull"]["error"]["message"]
        listed = await served.call("GET", "/api/models")
        assert listed["models"][1]["pull"]["state"] == "failed"
        await served.call("POST", "/api/models/bigger/pull", expect=202)
        served.hub.steps.put_nowait(None)
        await tab.change("model", name="bigger", on_disk=True)


async def test_cancelling_a_fetch(served: Served) -> None:
    await served.call("POST", "/api/models/bigger/pull", expect=202)
    served.hub.step(100)  # the hub says how it goes several times a second, which is when a cancel takes effect
    served.hub.step(200)
    async with served.tab() as tab:
        await tab.send(type="lists", after=0)
        await tab.send(type="ping")
        await tab.next("pong")
        cancelling = served.call("POST", "/api/models/bigger/pull/cancel")
        served.hub.steps.put_nowait(SimpleNamespace(done=300, total=1000, bytes_per_second=1.0, source="somewhere"))
        await cancelling
    listed = await served.call("GET", "/api/models")
    assert (listed["models"][1]["on_disk"], listed["models"][1]["pull"]) == (False, None)
    await served.call("POST", "/api/models/bigger/pull/cancel", expect=409)


async def test_an_unknown_model_suggests_the_nearest(served: Served) -> None:
    error = await served.call("POST", "/api/models/scriptd/pull", expect=404)
    assert "Did you mean scripted?" in error["error"]["message"]
    await served.call("POST", "/api/models/hf:owner/name:file.gguf/pull/cancel", expect=404)


async def test_the_session_says_what_a_tab_needs(served: Served) -> None:
    session = await served.call("GET", "/api/session")
    assert session["default_model"] == "scripted"
    assert session["user"]["id"] == "local"
    assert session["list_cursor"] == 0
