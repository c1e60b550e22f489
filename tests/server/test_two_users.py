"""One user has something of every kind; another tries every route of the whole application with its ids.

He gets nothing of it and changes nothing: not as a member who is signed in, and not with a key that may do everything.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import select
from starlette.types import Message, Scope

from myna.server.openai.missing import is_missing
from myna.store import passkeys
from myna.store.passkeys import Passkey
from myna.store.records import now
from myna.store.tables import metadata
from tests.patience import WAIT_SECONDS
from tests.server.people import ORIGIN, House, Person
from tests.server.scripted import MODEL

SECRET = "xyzzy-what-only-ann-knows"
OTHER_ID = "11111111-1111-4111-8111-111111111111"
ASKED: Any = [{"role": "user", "content": SECRET}]


class Try(NamedTuple):
    """What is sent to a route, with ``{kind}`` for the id of something of Ann's.

    ``answers``: the statuses that are right, 404 where nothing else is said.
    """

    body: Any = None
    answers: tuple[int, ...] = (404,)


MESSAGE = {"id": OTHER_ID, "parent_id": None, "text": "mine"}
RUN = {"id": OTHER_ID.replace("1", "2"), "message_id": OTHER_ID.replace("1", "3")}
RUN_AGAIN = {"id": OTHER_ID.replace("1", "4"), "message_id": OTHER_ID.replace("1", "5")}
ALTERNATIVE = {"message_id": "{answer}", "token": 0, "alternative": 5}
ITEMS = {"items": [{"type": "message", "role": "user", "content": "mine"}]}

TRIES: dict[str, Try] = {
    "GET /v1/chat/completions/{completion}": Try(),
    "POST /v1/chat/completions/{completion}": Try({"metadata": {"a": "b"}}),
    "DELETE /v1/chat/completions/{completion}": Try(),
    "GET /v1/chat/completions/{completion}/messages": Try(),
    "GET /v1/responses/{response}": Try(),
    "DELETE /v1/responses/{response}": Try(),
    "POST /v1/responses/{response}/cancel": Try(),
    "GET /v1/responses/{response}/input_items": Try(),
    "GET /v1/conversations/{conversation}": Try(),
    "POST /v1/conversations/{conversation}": Try({"metadata": {"a": "b"}}),
    "DELETE /v1/conversations/{conversation}": Try(),
    "GET /v1/conversations/{conversation}/items": Try(),
    "POST /v1/conversations/{conversation}/items": Try(ITEMS),
    "GET /v1/conversations/{conversation}/items/{item}": Try(),
    "DELETE /v1/conversations/{conversation}/items/{item}": Try(),
    "GET /v1/files/{file}": Try(),
    "DELETE /v1/files/{file}": Try(),
    "GET /v1/files/{file}/content": Try(),
    "HEAD /v1/files/{file}/content": Try(),
    "POST /v1/uploads/{upload}/parts": Try({"files": {"data": ("part", "mine")}}),
    "POST /v1/uploads/{upload}/complete": Try({"part_ids": ["{part}"]}),
    "POST /v1/uploads/{upload}/cancel": Try(),
    "GET /v1/batches/{batch}": Try(),
    "POST /v1/batches/{batch}/cancel": Try(),
    "GET /v1/webhook_endpoints/{endpoint}": Try(),
    "POST /v1/webhook_endpoints/{endpoint}": Try({"name": "mine"}),
    "DELETE /v1/webhook_endpoints/{endpoint}": Try(),
    "POST /v1/webhook_endpoints/{endpoint}/rotate_secret": Try({}),
    "POST /v1/webhook_endpoints/{endpoint}/test": Try({"event_type": "batch.completed"}),
    "DELETE /api/account/sessions/{session}": Try(answers=(404, 403)),  # no key comes so far
    "PATCH /api/account/keys/{key}": Try({"name": "mine"}, (404, 403)),
    "DELETE /api/account/keys/{key}": Try(answers=(404, 403)),
    "DELETE /api/invitations/{invitation}": Try(answers=(403,)),
    "PATCH /api/account/passkeys/{passkey}": Try({"name": "mine"}, (404, 403)),
    "DELETE /api/account/passkeys/{passkey}": Try(answers=(404, 403)),
    "DELETE /api/users/{user}/second-factor": Try(answers=(403,)),
    "DELETE /api/users/{user}/passkeys": Try(answers=(403,)),
    "PATCH /api/users/{user}": Try({"role": "member"}, (403,)),
    "DELETE /api/users/{user}": Try(answers=(403,)),
    "GET /api/chats/{chat}": Try(),
    "PATCH /api/chats/{chat}": Try({"title": "mine"}),
    "DELETE /api/chats/{chat}": Try(),
    # Clients make the ids of chats, so this one makes a chat of his own that has hers by chance.
    "GET /api/chats/{chat}/messages": Try(answers=(400, 404)),
    "GET /api/chats/{chat}/export": Try(answers=(400, 404)),
    "POST /api/chats/{chat}/messages": Try({"message": MESSAGE, "run": RUN}, (201, 200)),
    "DELETE /api/messages/{message}": Try(),
    "POST /api/messages/{message}/tokens": Try(),
    "POST /api/messages/{answer}/tokens": Try(),
    "PATCH /api/projects/{project}": Try({"name": "mine"}),
    "DELETE /api/projects/{project}": Try(),
    "POST /api/chats/{chat}/runs": Try({**RUN_AGAIN, "parent_id": "{message}"}),
    "POST /api/runs/{run}/stop": Try(),
    "PATCH /api/presets/{preset}": Try({"name": "mine"}),
    "DELETE /api/presets/{preset}": Try(),
    "POST /api/runs/{waiting}/send": Try(),
    "PATCH /api/runs/{waiting}": Try({"text": "mine"}),
    "DELETE /api/runs/{waiting}": Try(),
    "PATCH /api/messages/{message}": Try({"text": "mine"}),
    "POST /api/messages/{message}/copy": Try({"id": OTHER_ID, "text": "mine"}),
    "POST /api/chats/{chat}/fork": Try({"id": OTHER_ID, "message_id": "{message}"}),
}
"""Every route with the id of something that somebody owns in its path."""

MENTIONED: dict[str, Try] = {
    "POST /v1/responses ": Try({"model": MODEL, "input": "go on", "previous_response_id": "{response}"}, (400, 404)),
    "POST /v1/responses": Try({"model": MODEL, "input": "go on", "conversation": "{conversation}"}, (400, 404)),
    "POST /v1/responses/input_tokens": Try({"model": MODEL, "previous_response_id": "{response}"}, (400, 404)),
    "POST /v1/responses/compact": Try({"model": MODEL, "previous_response_id": "{response}"}, (400, 404)),
    "POST /v1/batches": Try(
        {"input_file_id": "{file}", "endpoint": "/v1/chat/completions", "completion_window": "24h"}, (400, 404)
    ),
    "GET /api/chats/{chat}/messages?ids={message}": Try(answers=(200, 404)),
    "GET /api/chats/{chat}/export?format=json": Try(answers=(200, 404)),
    "GET /api/chats/{chat}/export?format=markdown": Try(answers=(200, 404)),
    "GET /api/chats/{his_chat}/messages?ids={message}": Try(answers=(200,)),
    f"POST /api/chats/{OTHER_ID}/messages": Try(
        {"message": {"id": RUN_AGAIN["id"], "parent_id": "{message}", "text": "mine"}, "run": RUN_AGAIN}
    ),
    f"POST /api/chats/{OTHER_ID}/runs": Try({**RUN_AGAIN, "parent_id": "{message}"}),
    f"POST /api/chats/{OTHER_ID}/runs ": Try({"id": RUN_AGAIN["id"], "continue": "{answer}"}),
    f"POST /api/chats/{OTHER_ID}/runs  ": Try({**RUN_AGAIN, "continue_from": ALTERNATIVE}),
    "POST /v1/uploads/{his_upload}/complete": Try({"part_ids": ["{part}"]}, (400, 404)),
    "GET /v1/conversations/{his_conversation}/items/{item}": Try(),
    "DELETE /v1/conversations/{his_conversation}/items/{item}": Try(),
    "PATCH /api/chats/{his_chat}": Try({"leaf_id": "{message}"}),
    "PATCH /api/chats/{his_chat} ": Try({"project_id": "{project}"}),
    "POST /api/chats/bulk": Try({"action": "move", "ids": ["{his_chat}"], "project_id": "{project}"}),
    "POST /api/chats/bulk ": Try({"action": "delete", "ids": ["{chat}"]}, (200,)),
    "POST /api/chats/bulk  ": Try({"action": "archive", "all": "every"}, (200,)),
    "GET /api/chats?project={project}": Try(answers=(200,)),
    "DELETE /api/projects/{project}?with_chats=delete": Try(),
    f"GET /api/search?q={SECRET}": Try(answers=(200,)),
    "POST /api/chats/{his_chat}/messages": Try(
        {"message": {"id": RUN_AGAIN["id"], "parent_id": "{message}", "text": "mine"}, "run": RUN_AGAIN}
    ),
    "POST /api/chats/{his_chat}/runs": Try({**RUN_AGAIN, "parent_id": "{message}"}),
    "POST /api/chats/{his_chat}/runs ": Try({**RUN_AGAIN, "continue_from": ALTERNATIVE}),
    "GET /v1/conversations/{his_conversation}/items?after={item}": Try(answers=(200, 400, 404)),
    "POST /api/chats/{his_chat}/fork": Try({"id": OTHER_ID, "message_id": "{message}"}),
    "GET /v1/files?after={file}": Try(answers=(200, 400, 404)),
    "GET /v1/chat/completions?after={completion}": Try(answers=(200, 400, 404)),
    "GET /api/chats/{passing_chat}": Try(),
    "GET /api/chats/{passing_chat}/messages?ids={passing_message}": Try(answers=(200, 404)),
    "PATCH /api/chats/{passing_chat}": Try({"title": "mine"}),
    "DELETE /api/chats/{passing_chat}": Try(),
    "POST /api/chats/{passing_chat}/runs": Try({**RUN_AGAIN, "parent_id": "{passing_message}"}),
    "PATCH /api/messages/{passing_message}": Try({"text": "mine"}),
    "POST /api/messages/{passing_message}/copy": Try({"id": OTHER_ID, "text": "mine"}),
    "POST /api/messages/{passing_message}/tokens": Try(),
    "DELETE /api/messages/{passing_message}": Try(),
    "POST /api/runs/{passing_run}/stop": Try(),
    "GET /v1/batches?after={batch}": Try(answers=(200, 400, 404)),
}
"""Her ids elsewhere than in the path of a route."""

OF_ALL = ("/v1/models/", "/api/models/", "/docs/")
"""What no user owns: a name in these paths is not an id of anybody's."""


def parameters(template: str) -> str:
    """A route's path with its parameters named alike, however each module calls them."""
    return re.sub(r"\{\w+\}", "{}", template)


def routes(home: House) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(home.app.routes):
        assert route.path is not None
        if not is_missing(route.path):
            for method in route.methods or {"WEBSOCKET"}:
                yield method, route.path


def filled(value: Any, ids: dict[str, str]) -> Any:
    """A body or path with her ids in it."""
    text = json.dumps(value)
    for kind, id_ in ids.items():
        text = text.replace(f"{{{kind}}}", id_)
    return json.loads(text)


@pytest.fixture
def home(home: House) -> Iterator[House]:
    """As elsewhere; what a test has left running goes on before it is closed."""
    yield home
    if home.backend.gate is not None:
        home.backend.gate.set()


async def something_of_everything(home: House, ann: Person) -> dict[str, str]:
    """One thing of every kind that users own, by kind."""
    ids = {"user": ann.id, "session": home.accounts.directory.sessions_of(ann.id)[0].id}
    ids["key"] = (await ann.call("POST", "/api/account/keys", {"name": SECRET}, 201))["id"]
    invitation = {"expires_at": now() + 1000_000, "name": SECRET}
    ids["invitation"] = (await ann.call("POST", "/api/invitations", invitation, 201))["id"]
    body = {"model": MODEL, "messages": ASKED, "store": True}
    ids["completion"] = (await ann.call("POST", "/v1/chat/completions", body, 200))["id"]
    items = {"items": [{"type": "message", "role": "user", "content": SECRET}]}
    ids["conversation"] = (await ann.call("POST", "/v1/conversations", items, 200))["id"]
    ids["item"] = (await ann.call("GET", f"/v1/conversations/{ids['conversation']}/items", expect=200))["first_id"]
    ids["response"] = (await ann.call("POST", "/v1/responses", {"model": MODEL, "input": SECRET}, 200))["id"]
    line = {
        "custom_id": "1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": MODEL, "messages": ASKED},
    }
    form = {"files": {"file": (f"{SECRET}.jsonl", json.dumps(line).encode())}, "data": {"purpose": "batch"}}
    ids["file"] = (await ann.call("POST", "/v1/files", None, 200, **form))["id"]
    upload = {"bytes": len(SECRET), "filename": SECRET, "mime_type": "text/plain", "purpose": "user_data"}
    ids["upload"] = (await ann.call("POST", "/v1/uploads", upload, 200))["id"]
    part = {"files": {"data": ("part", SECRET.encode())}}
    ids["part"] = (await ann.call("POST", f"/v1/uploads/{ids['upload']}/parts", None, 200, **part))["id"]
    endpoint = {"name": SECRET, "url": "https://hooks.example/ann", "event_types": ["response.completed"]}
    ids["endpoint"] = (await ann.call("POST", "/v1/webhook_endpoints", endpoint, None))["id"]
    batch = {"input_file_id": ids["file"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    ids["batch"] = (await ann.call("POST", "/v1/batches", batch, 200))["id"]
    for _ in range(1000):
        if (await ann.call("GET", f"/v1/batches/{ids['batch']}", expect=200))["status"] == "completed":
            break
        await asyncio.sleep(0.02)
    async with home.accounts.database.transaction() as transaction:
        passkey = Passkey(ann.id, "passkey_1", SECRET, "localhost", b"credential", b"key", 0, False, 1, None)
        await passkeys.add(transaction.owned_by(ann.id), passkey)
    ids["passkey"] = passkey.id
    ids["preset"] = str(uuid.uuid4())
    preset = {"id": ids["preset"], "name": SECRET, "system_prompt": SECRET}
    await ann.call("POST", "/api/presets", preset, 201)
    home.backend.gate = asyncio.Event()  # her answer is being written all the time
    ids |= {kind: str(uuid.uuid4()) for kind in ("chat", "message", "run", "answer", "project")}
    await ann.call("POST", "/api/projects", {"id": ids["project"], "name": SECRET, "instructions": SECRET}, 201)
    asked = {"message": {"id": ids["message"], "parent_id": None, "text": SECRET}}
    asked["run"] = {"id": ids["run"], "message_id": ids["answer"]}
    await ann.call("POST", f"/api/chats/{ids['chat']}/messages", asked, 201)
    await ann.call("PATCH", f"/api/chats/{ids['chat']}", {"project_id": ids["project"]}, 200)
    await asyncio.to_thread(home.backend.paused.wait, WAIT_SECONDS)
    log = home.app.state.api.runs.live(ann.id, ids["run"])
    wake = asyncio.Event()
    log.subscribe(wake)
    while log.committed < 2:
        await wake.wait()
        wake.clear()
    log.unsubscribe(wake)
    ids |= {kind: str(uuid.uuid4()) for kind in ("passing_chat", "passing_message", "passing_run")}
    asked = {"message": {"id": ids["passing_message"], "parent_id": None, "text": SECRET}}
    asked |= {"run": {"id": ids["passing_run"], "message_id": str(uuid.uuid4())}, "chat": {"temporary": True}}
    await ann.call("POST", f"/api/chats/{ids['passing_chat']}/messages", asked, 201)
    ids |= {kind: str(uuid.uuid4()) for kind in ("waiting", "queued")}
    asked = {"message": {"id": ids["queued"], "parent_id": ids["answer"], "text": SECRET}}
    asked["run"] = {"id": ids["waiting"], "message_id": str(uuid.uuid4())}
    await ann.call("POST", f"/api/chats/{ids['chat']}/messages", asked, 201)
    return ids


async def something_of_his_own(person: Person) -> dict[str, str]:
    """What the second user has himself, to put her ids into."""
    upload = {"bytes": 4, "filename": "mine", "mime_type": "text/plain", "purpose": "user_data"}
    chat = str(uuid.uuid4())
    message = {"id": str(uuid.uuid4()), "parent_id": None, "text": "mine"}
    run = {"id": str(uuid.uuid4()), "message_id": str(uuid.uuid4())}
    await person.call("POST", f"/api/chats/{chat}/messages", {"message": message, "run": run}, 201)
    return {
        "his_upload": (await person.call("POST", "/v1/uploads", upload, 200))["id"],
        "his_conversation": (await person.call("POST", "/v1/conversations", {}, 200))["id"],
        "his_chat": chat,
    }


async def all_of(home: House, ann: Person) -> dict[str, Any]:
    """Every row and every byte of hers, and who the users are."""
    async with home.app.state.database.read(ann.id) as scope:
        rows = {
            name: sorted(map(str, await scope.all(scope.select(table))))
            for name, table in metadata.tables.items()
            if "owner" in table.c and name != "usage"  # written when it is time
        }
        users = metadata.tables["users"]
        rows["users"] = [str(row) for row in await scope.all(select(users.c.id, users.c.name, users.c.role))]
    blobs = {path: path.read_bytes() for path in (home.accounts.files / ann.id).rglob("*") if path.is_file()}
    return {**rows, "blobs": blobs}


async def send(person: Person, method: str, path: str, body: Any) -> Any:
    """A request with its body as JSON, or as a form."""
    if isinstance(body, dict) and "files" in body:
        return await person.http.request(method, path, files=body["files"])
    if method in ("GET", "HEAD"):
        return await person.http.request(method, path)
    return await person.http.request(method, path, json=body or {})


async def test_the_table_has_every_route_with_an_id(home: House) -> None:
    found = {
        f"{method} {parameters(path)}"
        for method, path in routes(home)
        if "{" in path and not path.startswith(OF_ALL) and method != "WEBSOCKET"
    }
    known = {f"{key.split(' ')[0]} {parameters(key.split(' ')[1])}" for key in TRIES}
    assert found - known == set(), "tell TRIES what to send there"
    assert known - found == set(), "these are no routes any more"


@pytest.mark.parametrize("how", ["signed in", "with a key"])
async def test_a_second_user_gets_nothing_and_changes_nothing(home: House, how: str) -> None:
    ann = await home.first()
    ids = await something_of_everything(home, ann)
    ben = await home.invite(ann, "Ben")
    other = ben if how == "signed in" else await home.key_of(ben, "all")
    ids |= await something_of_his_own(other)
    before = await all_of(home, ann)
    assert sum(map(bool, before.values())) > 10

    async def attempt(route: str, tried: Try, answers: tuple[int, ...]) -> None:
        method, path = route.strip().split(" ")
        answer = await send(other, method, filled(path, ids), filled(tried.body, ids))
        assert answer.status_code in answers, f"{route}: {answer.status_code} {answer.text}"
        assert SECRET not in answer.text, route
        if method not in ("GET", "HEAD"):
            assert await all_of(home, ann) == before, route

    for route, tried in (TRIES | MENTIONED).items():
        await attempt(route, tried, tried.answers)
    # Whatever else could be tried on a path, be there a route or not.
    for path in {route.strip().split(" ")[1] for route in TRIES}:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            if f"{method} {path}" not in TRIES:
                await attempt(f"{method} {path}", Try(), (403, 404, 405, 415))
    # Routes without an id: lists of what is his, and of nobody else's.
    for method, path in routes(home):
        if "{" not in path and method in ("GET", "HEAD"):
            answer = await send(other, method, path, None)
            assert answer.status_code in (200, 307, 403, 404), path
            assert SECRET not in answer.text, path
            shown = [
                kind
                for kind, id_ in ids.items()
                if kind != "user" and not kind.startswith("his_") and id_ in answer.text
            ]
            if path not in ("/api/chats",):  # the one whose id he has taken too
                assert shown == [], path
    assert await all_of(home, ann) == before
    assert (await ann.call("GET", f"/api/chats/{ids['chat']}", expect=200))["messages"][1]["status"] == "running"
    passing = (await ann.call("GET", f"/api/chats/{ids['passing_chat']}", expect=200))["messages"]
    assert [message["status"] for message in passing] == ["complete", "running"]


async def test_a_second_users_tab_hears_nothing(home: House) -> None:
    ann = await home.first()
    ids = await something_of_everything(home, ann)
    ben = await home.invite(ann, "Ben")
    heard: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    cookie = "; ".join(f"{name}={value}" for name, value in ben.http.cookies.items())
    headers = {"host": "127.0.0.1:8642", "origin": ORIGIN, "cookie": cookie}
    scope: Scope = {
        "type": "websocket", "path": "/api/events", "raw_path": b"/api/events", "query_string": b"", "scheme": "ws",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "subprotocols": [],
        "client": ("10.0.0.9", 1), "server": ("127.0.0.1", 8642), "root_path": "", "http_version": "1.1",
    }  # fmt: skip
    tab = asyncio.create_task(home.app(scope, said.get, heard.put))
    await said.put({"type": "websocket.connect"})
    for frame in (
        {"type": "follow", "run": ids["run"], "after": 0},
        {"type": "lists", "after": 0},
        {"type": "ping"},
    ):
        await said.put({"type": "websocket.receive", "text": json.dumps(frame)})
    frames: list[str] = []
    while not frames or '"pong"' not in frames[-1]:
        message = await asyncio.wait_for(heard.get(), WAIT_SECONDS)
        frames.append(message.get("text", message["type"]))
    log = home.app.state.api.runs.live(ann.id, ids["run"])
    home.backend.gate.set()  # type: ignore[union-attr]
    await log.ended.wait()
    await said.put({"type": "websocket.receive", "text": json.dumps({"type": "ping"})})
    while frames.count('{"type":"pong"}') < 2:
        frames.append((await asyncio.wait_for(heard.get(), WAIT_SECONDS)).get("text", ""))
    await said.put({"type": "websocket.disconnect", "code": 1000})
    await tab
    assert SECRET not in str(frames)
    assert "Hello" not in str(frames)
    (error,) = [json.loads(frame) for frame in frames if '"error"' in frame]
    assert error["error"]["code"] == "not_found"
    assert not any('"type":"change"' in frame for frame in frames)
