"""The whole server on a PostgreSQL database: what was said is there after it was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import openai

from tests.patience import WAIT_SECONDS
from tests.postgres import PostgreSQL
from tests.processes import Server, environment
from tests.store.rows import new_id


def test_a_killed_server_keeps_its_chats_and_files(postgresql: PostgreSQL, tmp_path: Path, default_model: Path) -> None:
    env = environment(tmp_path, MYNA_DATABASE_URL=postgresql.create())
    chat_id, run_id = new_id(), new_id()
    sent: dict[str, Any] = {
        "message": {"id": new_id(), "parent_id": None, "text": "Write a very long story."},
        "run": {"id": run_id, "message_id": new_id(), "parameters": {"max_tokens": 4000, "seed": 1}},
    }
    server = Server("--no-browser", env=env)
    try:
        with httpx2.Client(base_url=server.url, timeout=WAIT_SECONDS) as http:
            http.post(f"/api/chats/{chat_id}/messages", json=sent).raise_for_status()
            while not said(http, chat_id):
                pass
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            file = client.files.create(file=("a.txt", b"A myna talks."), purpose="user_data")
    finally:
        server.process.kill()
        server.process.wait()
    server = Server("--no-browser", env=env)
    try:
        with httpx2.Client(base_url=server.url, timeout=WAIT_SECONDS) as http:
            kept = http.get(f"/api/chats/{chat_id}").raise_for_status().json()
            assert [message["status"] for message in kept["messages"]] == ["complete", "interrupted"]
            assert said(http, chat_id)
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            assert client.files.content(file.id).read() == b"A myna talks."
    finally:
        server.process.terminate()
        server.process.wait(WAIT_SECONDS)
    assert not (tmp_path / "myna.db").exists()


def said(http: httpx2.Client, chat_id: str) -> str:
    """The answer's text so far."""
    answer = http.get(f"/api/chats/{chat_id}").raise_for_status().json()["messages"][-1]
    return "".join(part["text"] for part in answer["parts"])
