"""Two server processes on one PostgreSQL database and one data directory, as behind a load balancer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.patience import WAIT_SECONDS
from tests.postgres import PostgreSQL
from tests.processes import Server, environment, serving
from tests.store.rows import new_id

PASSWORD = "a long enough secret"
Pair = tuple[Server, Server]


@pytest.fixture(scope="module")
def pair(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Pair]:
    env = environment(tmp_path_factory.mktemp("shared"), MYNA_DATABASE_URL=postgresql.create())
    with ExitStack() as stack:
        one, two = (stack.enter_context(serving("--no-browser", env=env)) for _ in range(2))
        yield one, two


def eventually(happens: Callable[[], Any]) -> Any:
    """What comes of a question when it comes to something."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (answer := happens()):
        assert time.monotonic() < deadline
    return answer


def test_one_generates_and_the_other_shows(pair: Pair) -> None:
    one, two = pair
    chat_id, run_id = new_id(), new_id()
    sent = {
        "message": {"id": new_id(), "parent_id": None, "text": "Write a very long story."},
        "run": {"id": run_id, "message_id": new_id(), "parameters": {"max_tokens": 4000, "seed": 1}},
    }
    socket_url = two.url.replace("http", "ws") + "/api/events"
    with (
        httpx2.Client(base_url=one.url, timeout=WAIT_SECONDS) as http,
        httpx2.Client(base_url=two.url, timeout=WAIT_SECONDS) as other,
        connect(socket_url, origin=two.url, open_timeout=WAIT_SECONDS) as socket,
    ):
        http.post(f"/api/chats/{chat_id}/messages", json=sent).raise_for_status()
        socket.send(json.dumps({"type": "follow", "run": run_id, "after": 0}))
        frames = [json.loads(socket.recv(WAIT_SECONDS)) for _ in range(5)]
        assert [frame["seq"] for frame in frames] == [1, 2, 3, 4, 5]
        assert frames[0]["event"]["seed"] == 1
        assert other.post(f"/api/runs/{run_id}/stop", json={}).json()["status"] == "stopped"
        shown = [client.get(f"/api/chats/{chat_id}").json()["messages"] for client in (http, other)]
        assert shown[0] == shown[1]
        assert shown[0][-1]["parts"][0]["text"].startswith(
            "".join(frame["event"]["text"] for frame in frames if frame["event"]["kind"] == "text")
        )


def test_a_database_that_is_gone_for_a_while_costs_nothing(pair: Pair, postgresql: PostgreSQL) -> None:
    one, two = pair
    chat_id, run_id = new_id(), new_id()
    sent = {
        "message": {"id": new_id(), "parent_id": None, "text": "Write a long story."},
        "run": {"id": run_id, "message_id": new_id(), "parameters": {"max_tokens": 300, "seed": 1}},
    }
    with (
        httpx2.Client(base_url=one.url, timeout=WAIT_SECONDS) as http,
        httpx2.Client(base_url=two.url, timeout=WAIT_SECONDS) as other,
    ):
        http.post(f"/api/chats/{chat_id}/messages", json=sent).raise_for_status()
        postgresql.stop()
        for client in (http, other):
            for refused in (
                client.get(f"/api/chats/{chat_id}"),
                client.patch(f"/api/chats/{chat_id}", json={"title": "A story"}),
            ):
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
                assert refused.json()["error"]["code"] == "store_unavailable"
            assert client.get("/v1/models").status_code == 200
        with connect(
            two.url.replace("http", "ws") + "/api/events", origin=two.url, open_timeout=WAIT_SECONDS
        ) as socket:
            socket.send(json.dumps({"type": "follow", "run": run_id, "after": 0}))
            assert json.loads(socket.recv(WAIT_SECONDS))["run"] is None  # it is not the run that is unknown
            with pytest.raises(ConnectionClosed):
                socket.recv(WAIT_SECONDS)
        postgresql.start()

        def answer(client: httpx2.Client) -> Any:
            response = client.get(f"/api/chats/{chat_id}")
            return response.status_code == 200 and response.json()["messages"][-1]

        for client in (http, other):
            done = eventually(lambda client=client: (said := answer(client)) and said["status"] != "running" and said)
            assert (done["status"], done["usage"]["completion_tokens"]) == ("complete", 300)
        eventually(lambda: other.patch(f"/api/chats/{chat_id}", json={"title": "A story"}).status_code == 200)


def test_batches_files_and_background_responses_are_everybodys(pair: Pair) -> None:
    one, two = (openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") for server in pair)
    body = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    with one, two:
        file = two.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
        batch = two.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        done = eventually(lambda: (found := one.batches.retrieve(batch.id)).status == "completed" and found)
        assert json.loads(two.files.content(done.output_file_id).text)["custom_id"] == "a"

        response = one.responses.create(
            model="smollm2:135m", input="Write a very long story.", background=True, extra_body={"ignore_eos": True}
        )
        followed = two.responses.retrieve(response.id, stream=True)
        assert [next(followed).type for _ in range(2)] == ["response.created", "response.queued"]
        assert two.responses.cancel(response.id).status == "cancelled"
        assert [event.type for event in followed][-1] == "response.incomplete"
        assert one.responses.retrieve(response.id).status == "cancelled"


def test_accounts_are_the_same_everywhere_at_once(pair: Pair) -> None:
    one, two = pair

    def client(server: Server) -> httpx2.Client:
        return httpx2.Client(base_url=server.url, timeout=WAIT_SECONDS, headers={"Content-Type": "application/json"})

    with client(one) as first, client(two) as second, client(two) as stranger:
        first.post("/api/setup", json={"name": "Ann", "password": PASSWORD}).raise_for_status()
        second.cookies.update(first.cookies)
        assert second.get("/api/chats").status_code == 200
        eventually(lambda: stranger.get("/api/chats").status_code == 401)
        made = second.post("/api/account/keys", json={"name": "script", "permission": "all"}).raise_for_status().json()
        key = {"Authorization": f"Bearer {made['secret']}"}
        assert first.get("/v1/models", headers=key).status_code == 200
        first.delete(f"/api/account/keys/{made['id']}").raise_for_status()
        eventually(lambda: stranger.get("/v1/models", headers=key).status_code == 401)

        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in first.cookies.items())}
        address = two.url.replace("http", "ws") + "/api/events"
        with connect(address, origin=two.url, additional_headers=header, open_timeout=WAIT_SECONDS) as socket:
            first.delete("/api/session").raise_for_status()
            with pytest.raises(ConnectionClosed):
                socket.recv(WAIT_SECONDS)
        assert second.get("/api/chats").status_code == 401
