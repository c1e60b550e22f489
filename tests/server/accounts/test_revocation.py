"""What is open ends when what let it in is revoked: WebSockets, streams, and the answers of who is deleted."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from myna.server import web
from myna.store.tables import metadata
from tests.patience import WAIT_SECONDS
from tests.server.people import PASSWORD, House
from tests.server.scripted import MODEL


class Page:
    """A browser on a real socket."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.url = str(http.base_url).rstrip("/")
        self.id = ""

    async def call(self, method: str, path: str, body: Any = None, *, expect: int) -> Any:
        response = await self.http.request(method, path, json=body or {})
        assert response.status_code == expect, response.text
        return response.json() if response.content else None

    async def sign_in(self, path: str = "/api/session", name: str = "Ann") -> Page:
        self.id = (await self.call("POST", path, {"name": name, "password": PASSWORD}, expect=200))["user"]["id"]
        return self

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[ClientConnection]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        url = self.url.replace("http", "ws") + "/api/events"
        async with connect(url, origin=self.url, additional_headers={"cookie": cookie}) as tab:  # type: ignore[arg-type]
            await tab.send(json.dumps({"type": "ping"}))
            assert json.loads(await tab.recv()) == {"type": "pong"}
            yield tab


async def closed(tab: ClientConnection) -> int | None:
    """With what code a tab's socket is closed."""
    await asyncio.wait_for(tab.wait_closed(), WAIT_SECONDS)
    return tab.close_code


@pytest.fixture
async def url(home: House) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(home.app, log_config=None, lifespan="off", ws="websockets-sansio"))
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    home.app.state.api.disconnect()
    server.should_exit = True
    await task


NewPage = Callable[[], Page]


@pytest.fixture
def new_page(home: House, url: str) -> NewPage:
    """Another browser; it is closed with the house."""

    def make() -> Page:
        http = httpx2.AsyncClient(base_url=url, headers={"origin": url}, timeout=WAIT_SECONDS)
        home.stack.push_async_callback(http.aclose)
        return Page(http)

    return make


@pytest.fixture
async def ann(new_page: NewPage) -> Page:
    return await new_page().sign_in("/api/setup")


@pytest.fixture
async def ben(ann: Page, new_page: NewPage) -> Page:
    await ann.call("POST", "/api/users", {"name": "Ben", "password": PASSWORD}, expect=201)
    return await new_page().sign_in(name="Ben")


@asynccontextmanager
async def program_of(page: Page) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """A client with a new key of somebody, and the key's id."""
    made = await page.call("POST", "/api/account/keys", {"name": "script"}, expect=201)
    headers = {"authorization": f"Bearer {made['secret']}"}
    async with httpx2.AsyncClient(base_url=page.url, headers=headers, timeout=WAIT_SECONDS) as program:
        yield program, made["id"]


async def test_a_tab_from_before_the_first_account_is_closed(new_page: NewPage) -> None:
    async with new_page().tab() as tab:
        await new_page().sign_in("/api/setup")
        assert await closed(tab) == 1008


async def test_signing_out_closes_the_tabs_of_that_browser(ann: Page, new_page: NewPage) -> None:
    other = await new_page().sign_in()
    async with ann.tab() as tab, other.tab() as others:
        cookies = dict(other.http.cookies)
        await other.call("DELETE", "/api/session", expect=204)
        assert await closed(others) == 1008
        await tab.send(json.dumps({"type": "ping"}))
        assert json.loads(await tab.recv()) == {"type": "pong"}
    other.http.cookies.update(cookies)
    with pytest.raises(InvalidStatus):
        async with other.tab():
            pass


@pytest.mark.parametrize(
    ("method", "body"),
    [("DELETE", {}), ("PATCH", {"disabled": True}), ("PATCH", {"role": "admin"}), ("PATCH", {"password": True})],
)
async def test_what_is_done_to_a_user_closes_his_tabs(ann: Page, ben: Page, method: str, body: dict[str, Any]) -> None:
    async with ann.tab() as hers, ben.tab() as his:
        await ann.call(method, f"/api/users/{ben.id}", body, expect=204 if method == "DELETE" else 200)
        assert await closed(his) == 1008
        await hers.send(json.dumps({"type": "ping"}))
        assert json.loads(await hers.recv()) == {"type": "pong"}


async def test_ending_the_other_sessions_closes_their_tabs(ann: Page, new_page: NewPage) -> None:
    other = await new_page().sign_in()
    async with ann.tab() as tab, other.tab() as others:
        await ann.call("POST", "/api/account/password", {"old": PASSWORD, "new": "a longer one"}, expect=204)
        assert await closed(others) == 1008
        await tab.send(json.dumps({"type": "ping"}))
        assert json.loads(await tab.recv()) == {"type": "pong"}


async def test_a_tab_ends_when_its_session_was_not_used_for_long(
    home: House, ann: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ann.tab() as tab:
        monkeypatch.setattr("myna.server.accounts.service.now", lambda: 3_000_000_000_000)
        await home.accounts.end_expired()
        assert await closed(tab) == 1008


@pytest.mark.parametrize("what", ["key", "user"])
async def test_a_stream_breaks_off_when_its_key_or_its_user_goes(home: House, ann: Page, ben: Page, what: str) -> None:
    home.backend.gate = asyncio.Event()
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    async with (
        program_of(ben) as (program, key),
        program.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        pieces = answer.aiter_text()
        assert "Hello" in await anext(pieces) + await anext(pieces)
        if what == "key":
            await ben.call("DELETE", f"/api/account/keys/{key}", expect=204)
        else:
            await ann.call("DELETE", f"/api/users/{ben.id}", expect=204)
        with pytest.raises(httpx2.RemoteProtocolError):
            async for _ in pieces:
                pass
    assert home.backend.cancelled
    assert home.backend.ended == []


async def test_a_request_that_waits_is_refused_when_its_key_goes(home: House, ben: Page) -> None:
    home.backend.gate, home.backend.gate_prompt = asyncio.Event(), True
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    async with program_of(ben) as (program, key):
        waiting = asyncio.create_task(program.post("/v1/chat/completions", json=body))
        await asyncio.to_thread(home.backend.paused.wait, WAIT_SECONDS)
        await ben.call("DELETE", f"/api/account/keys/{key}", expect=204)
        assert (await waiting).status_code == 401


async def test_the_answers_of_who_is_deleted_end_and_leave_nothing(home: House, ann: Page, ben: Page) -> None:
    home.backend.gate = asyncio.Event()
    ids = [str(uuid.uuid4()) for _ in range(4)]
    message = {"id": ids[1], "parent_id": None, "text": "Hi"}
    asked = {"message": message, "run": {"id": ids[2], "message_id": ids[3]}}
    await ben.call("POST", f"/api/chats/{ids[0]}/messages", asked, expect=201)
    await asyncio.to_thread(home.backend.paused.wait, WAIT_SECONDS)
    await ann.call("DELETE", f"/api/users/{ben.id}", expect=204)
    runs = home.app.state.api.runs
    assert runs.live(ben.id, ids[2]) is None
    # Another's answer is written as ever: what the deleted one would have written is in nobody's way.
    home.backend.gate = None
    ids = [str(uuid.uuid4()) for _ in range(4)]
    asked = {"message": message | {"id": ids[1]}, "run": {"id": ids[2], "message_id": ids[3]}}
    await ann.call("POST", f"/api/chats/{ids[0]}/messages", asked, expect=201)
    if (log := runs.live(ann.id, ids[2])) is not None:
        await log.ended.wait()
    opened = (await ann.http.get(f"/api/chats/{ids[0]}")).json()
    assert opened["messages"][1]["parts"] == [{"type": "text", "text": "Hello there!"}]
    assert home.app.state.api.readiness() is None
    await home.app.state.meter.usage.write(home.app.state.database)
    async with home.app.state.database.read(ben.id) as scope:
        for table in metadata.tables.values():
            if "owner" in table.c:
                assert await scope.all(scope.select(table)) == [], table.name


@pytest.mark.parametrize("what", ["expired", "demoted"])
async def test_an_answer_outlives_the_session_that_asked_for_it(
    home: House, ann: Page, ben: Page, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await ann.call("PATCH", f"/api/users/{ben.id}", {"role": "admin"}, expect=200)
    home.backend.gate = asyncio.Event()
    ids = [str(uuid.uuid4()) for _ in range(4)]
    message = {"id": ids[1], "parent_id": None, "text": "Hi"}
    asked = {"message": message, "run": {"id": ids[2], "message_id": ids[3]}}
    follow = json.dumps({"type": "follow", "run": ids[2], "after": 0})
    async with ben.tab() as tab:
        await ben.call("POST", f"/api/chats/{ids[0]}/messages", asked, expect=201)
        await tab.send(follow)
        await asyncio.to_thread(home.backend.paused.wait, WAIT_SECONDS)
        run = home.app.state.api.runs.live(ben.id, ids[2])
        assert run is not None
        if what == "expired":
            with monkeypatch.context() as patch:
                patch.setattr("myna.server.accounts.service.now", lambda: 3_000_000_000_000)
                await home.accounts.end_expired()
                assert await closed(tab) == 1008
                assert (await ben.http.get(f"/api/chats/{ids[0]}")).status_code == 401
            for person, name in ((ann, "Ann"), (ben, "Ben")):
                await person.sign_in(name=name)
        else:
            await ann.call("PATCH", f"/api/users/{ben.id}", {"role": "member"}, expect=200)
            assert await closed(tab) == 1008
            assert (await ben.http.get("/api/users")).status_code == 403
    assert not run.ended.is_set()
    async with ben.tab() as tab:
        await tab.send(follow)
        home.backend.gate.set()
        async with asyncio.timeout(WAIT_SECONDS):
            await run.ended.wait()
            heard = ""
            while "there!" not in heard:
                heard += str(await tab.recv())
    opened = (await ben.http.get(f"/api/chats/{ids[0]}")).json()
    assert opened["messages"][1]["status"] == "complete"
    assert opened["messages"][1]["parts"] == [{"type": "text", "text": "Hello there!"}]


async def test_the_answers_of_who_is_disabled_end_with_what_they_have(home: House, ann: Page, ben: Page) -> None:
    home.backend.gate = asyncio.Event()
    ids = [str(uuid.uuid4()) for _ in range(4)]
    asked = {
        "message": {"id": ids[1], "parent_id": None, "text": "Hi"},
        "run": {"id": ids[2], "message_id": ids[3]},
    }
    await ben.call("POST", f"/api/chats/{ids[0]}/messages", asked, expect=201)
    asked = {"model": MODEL, "input": "Hi", "background": True}
    response = await ben.call("POST", "/v1/responses", asked, expect=200)
    run = home.app.state.api.runs.live(ben.id, ids[2])
    log = home.app.state.responses.live(ben.id, response["id"])
    assert run is not None
    assert log is not None
    await asyncio.to_thread(home.backend.paused.wait, WAIT_SECONDS)
    await ann.call("PATCH", f"/api/users/{ben.id}", {"disabled": True}, expect=200)
    async with asyncio.timeout(WAIT_SECONDS):
        await run.ended.wait()
        await log.ended.wait()
    await ann.call("PATCH", f"/api/users/{ben.id}", {"disabled": False}, expect=200)
    await ben.call("POST", "/api/session", {"name": "Ben", "password": PASSWORD}, expect=200)
    opened = (await ben.http.get(f"/api/chats/{ids[0]}")).json()
    assert opened["messages"][1]["status"] == "interrupted"
    assert (await ben.http.get(f"/v1/responses/{response['id']}")).json()["status"] == "cancelled"


async def test_the_applications_files_come_whatever_is_revoked(
    ann: Page, ben: Page, home: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are no secret, and a page that waits for its parts when its user is demoted still needs them."""
    (tmp_path / "part.css").write_text("p {}")
    home.app.router.default = web.WebApplication(tmp_path)
    asked, go_on, load = threading.Event(), threading.Event(), web.load

    def load_later(path: Path, modified: int) -> web.Asset:
        asked.set()
        assert go_on.wait(WAIT_SECONDS)
        return load(path, modified)

    monkeypatch.setattr(web, "load", load_later)
    part = asyncio.create_task(ben.http.get("/part.css"))
    await asyncio.to_thread(asked.wait, WAIT_SECONDS)
    await ann.call("PATCH", f"/api/users/{ben.id}", {"role": "admin"}, expect=200)
    await ann.call("PATCH", f"/api/users/{ben.id}", {"role": "member"}, expect=200)
    go_on.set()
    answer = await part
    assert (answer.status_code, answer.text) == (200, "p {}")
