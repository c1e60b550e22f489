"""Batches in an application around a scripted backend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL

CHAT = "/v1/chat/completions"
OVER = ("completed", "failed", "expired", "cancelled")


def chat_line(custom_id: str, text: str = "Hi", *, url: str = CHAT, **fields: Any) -> dict[str, Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


async def until(condition: Callable[[], bool]) -> None:
    """Let the others work until something holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@dataclass
class Batches:
    """One user's batches, over HTTP."""

    http: httpx2.AsyncClient

    async def upload(self, lines: Iterable[Any] | bytes, purpose: str = "batch") -> str:
        content = lines if isinstance(lines, bytes) else b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        files = {"file": ("requests.jsonl", content)}
        answer = await self.http.post("/v1/files", data={"purpose": purpose}, files=files)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def create(self, file: str, endpoint: str = CHAT, **more: Any) -> httpx2.Response:
        body = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h", **more}
        return await self.http.post("/v1/batches", json=body)

    async def begin(self, lines: Iterable[Any] | bytes, endpoint: str = CHAT, **more: Any) -> str:
        answer = await self.create(await self.upload(lines), endpoint, **more)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "validating"
        return str(answer.json()["id"])

    async def get(self, batch: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/batches/{batch}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def wait(self, batch: str, *states: str) -> dict[str, Any]:
        """The batch once it has one of these states (by default: is over)."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                shown = await self.get(batch)
                if shown["status"] in (states or OVER):
                    return shown
                await asyncio.sleep(0.002)

    async def run(self, lines: Iterable[Any] | bytes, endpoint: str = CHAT, **more: Any) -> dict[str, Any]:
        return await self.wait(await self.begin(lines, endpoint, **more))

    async def read(self, file: str | None) -> list[dict[str, Any]]:
        if file is None:
            return []
        answer = await self.http.get(f"/v1/files/{file}/content")
        assert answer.status_code == 200
        return [json.loads(line) for line in answer.content.splitlines()]


@pytest.fixture
def batches(stored_client: httpx2.AsyncClient) -> Batches:
    return Batches(stored_client)
