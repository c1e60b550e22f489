"""``kill -9`` of a real server in the middle of an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from myna.store import messages
from tests.patience import WAIT_SECONDS
from tests.runs.conversation import new_id
from tests.runs.scripted import TOKENIZER, tokens_of
from tests.server.api.conftest import Socket, serve

ROOT = Path(__file__).resolve().parents[3]


async def test_kill_9_loses_nothing_that_was_shown(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.server.api.endless", str(tmp_path)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        chat_id, answer_id, run_id = new_id(), new_id(), new_id()
        body = {
            "message": {"id": new_id(), "parent_id": None, "text": "count"},
            "run": {"id": run_id, "message_id": answer_id},
        }
        headers = {"content-type": "application/json"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=WAIT_SECONDS) as http:
            answer = await http.post(f"/api/chats/{chat_id}/messages", content=json.dumps(body).encode())
            assert answer.status_code == 201, answer.text
            cursor = (await http.get("/api/session")).json()["list_cursor"]
        async with connect(url.replace("http", "ws") + "/api/events") as connection:
            tab = Socket(connection)
            await tab.send(type="follow", run=run_id, after=0)
            try:
                while True:
                    await tab.next("event")
                    if len(tab.frames) == 10:
                        server.kill()
            except ConnectionClosed:
                pass  # whatever was on its way has arrived
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()
    shown = tab.text(run_id)
    assert shown.startswith("0 1 2 ")

    async with serve(tmp_path) as served:
        opened = await served.call("GET", f"/api/chats/{chat_id}")
        kept = opened["messages"][1]
        text = kept["parts"][0]["text"]
        assert kept["status"] == "interrupted"
        assert opened["runs"] == []
        assert text.startswith(shown)
        assert text == "".join(f"{number} " for number in range(len(text.split())))
        async with served.services.database.read("local") as scope:
            (part,) = (await messages.get(scope, answer_id)).parts
        assert (part.token_ids, part.tokenizer) == (tokens_of(text), TOKENIZER)
        async with served.tab() as tab:  # the open tab comes back with its cursors
            await tab.send(type="follow", run=run_id, after=9)
            snapshot = await tab.next("snapshot")
            assert snapshot["message"]["parts"] == [{"type": "text", "text": text}]
            await tab.send(type="lists", after=cursor)
            await tab.change("message", id=answer_id, status="interrupted")
            await tab.change("run", id=run_id, status="interrupted")
        carried = {"id": new_id(), "continue": answer_id}
        await served.call("POST", f"/api/chats/{chat_id}/runs", carried, expect=201)
        reply = await served.backend.reply(carried["id"])
        assert reply.request.begun == part.token_ids
