"""Uploads in parts: with the official client, and whatever else may happen between begin and end."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI

from myna.server import files as service_module
from myna.server.openai import uploads
from myna.settings import Settings
from tests.server.conftest import client_of

UPLOADS = "/v1/uploads"
JSON = {"content-type": "application/json"}

Client = httpx2.AsyncClient


async def begin(client: Client, size: int, **body: Any) -> httpx2.Response:
    given = {"bytes": size, "filename": "a.bin", "mime_type": "text/plain", "purpose": "user_data"}
    return await client.post(UPLOADS, content=json.dumps(given | body), headers=JSON)


async def begun(client: Client, size: int, **body: Any) -> str:
    answer = await begin(client, size, **body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def add(client: Client, upload: str, content: bytes) -> httpx2.Response:
    return await client.post(f"{UPLOADS}/{upload}/parts", files={"data": ("part", content)})


async def added(client: Client, upload: str, *contents: bytes) -> list[str]:
    answers = [await add(client, upload, content) for content in contents]
    return [answer.json()["id"] for answer in answers]


async def complete(client: Client, upload: str, part_ids: list[str], **body: Any) -> httpx2.Response:
    return await client.post(f"{UPLOADS}/{upload}/complete", json={"part_ids": part_ids} | body)


async def cancel(client: Client, upload: str) -> httpx2.Response:
    return await client.post(f"{UPLOADS}/{upload}/cancel", headers=JSON)


async def content(client: Client, completed: httpx2.Response) -> bytes:
    return (await client.get(f"/v1/files/{completed.json()['file']['id']}/content")).content


def on_disk(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_dir / "files").rglob("*") if path.is_file()]


def test_the_official_client_uploads_in_parts(stored_address: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        upload = client.uploads.create(
            bytes=len(data), filename="données.bin", mime_type="application/octet-stream", purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 7200},
        )  # fmt: skip
        assert (upload.status, upload.expires_at - upload.created_at) == ("pending", 3600)
        second = client.uploads.parts.create(upload.id, data=io.BytesIO(data[500:]))
        first = client.uploads.parts.create(upload.id, data=data[:500])
        assert (first.object, first.upload_id) == ("upload.part", upload.id)
        done = client.uploads.complete(upload.id, part_ids=[first.id, second.id], md5=hashlib.md5(data).hexdigest())
        assert done.status == "completed"
        assert done.file is not None
        assert done.file.expires_at == done.file.created_at + 7200
        assert client.files.retrieve(done.file.id) == done.file
        assert client.files.content(done.file.id).content == data
        given_up = client.uploads.create(bytes=1, filename="x", mime_type="text/plain", purpose="batch")
        assert client.uploads.cancel(given_up.id).status == "cancelled"
        path = tmp_path / "whole.bin"
        path.write_bytes(data)
        chunked = client.uploads.upload_file_chunked(
            file=path, mime_type="text/plain", purpose="user_data", part_size=300
        )
        assert chunked.file is not None
        assert (chunked.file.filename, chunked.file.bytes) == ("whole.bin", len(data))


async def test_the_official_asynchronous_client_uploads_in_parts(stored_address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        done = await client.uploads.upload_file_chunked(
            file=b"0123456789", filename="f", bytes=10, mime_type="text/plain", purpose="user_data", part_size=3
        )
        assert done.file is not None
        assert (await client.files.content(done.file.id)).content == b"0123456789"


async def test_an_upload_is_nobody_elses(
    stored_client: Client, client_as: Callable[[str], AbstractAsyncContextManager[Client]]
) -> None:
    upload = await begun(stored_client, 2)
    part_ids = await added(stored_client, upload, b"ab")
    async with client_as("ben") as ben:
        for attempt in (add(ben, upload, b"x"), complete(ben, upload, part_ids), cancel(ben, upload)):
            assert (await attempt).status_code == 404
        bens = await begun(ben, 2)
        assert (await complete(ben, bens, part_ids)).status_code == 400
    assert (await complete(stored_client, upload, part_ids)).status_code == 200


async def test_completing_twice_makes_one_file(stored_client: Client, settings: Settings) -> None:
    upload = await begun(stored_client, 4)
    part_ids = await added(stored_client, upload, b"ab", b"cd")
    both = await asyncio.gather(*(complete(stored_client, upload, part_ids) for _ in range(2)))
    again = await complete(stored_client, upload, part_ids)
    assert {answer.status_code for answer in (*both, again)} == {200}
    assert len({answer.json()["file"]["id"] for answer in (*both, again)}) == 1
    assert len((await stored_client.get("/v1/files")).json()["data"]) == 1
    assert len(on_disk(settings)) == 1
    otherwise = await complete(stored_client, upload, part_ids[::-1])
    assert otherwise.status_code == 400
    assert "completed" in otherwise.json()["error"]["message"]


async def test_only_one_of_two_ways_to_end_counts(stored_client: Client, settings: Settings) -> None:
    upload = await begun(stored_client, 4)
    part_ids = await added(stored_client, upload, b"ab", b"cd", b"abcd")
    answers = await asyncio.gather(
        complete(stored_client, upload, part_ids[:2]),
        complete(stored_client, upload, part_ids[2:]),
        cancel(stored_client, upload),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    kept = (await stored_client.get("/v1/files")).json()["data"]
    assert len(on_disk(settings)) == len(kept) <= 1


@pytest.mark.parametrize(
    ("choose", "body", "param"),
    [
        (lambda ids: [], {}, "part_ids"),
        (lambda ids: ids[:1], {}, "part_ids"),
        (lambda ids: [*ids, ids[0]], {}, "part_ids[2]"),
        (lambda ids: [ids[0], "part_0"], {}, "part_ids[1]"),
        (lambda ids: "part_0", {}, "part_ids"),
        (lambda ids: ids, {"md5": "0" * 32}, "md5"),
        (lambda ids: ids, {"md5": "short"}, "md5"),
        (lambda ids: ids, {"sha256": "0" * 64}, "sha256"),
    ],
)
async def test_an_end_that_does_not_fit_changes_nothing(
    stored_client: Client, settings: Settings, choose: Callable[[list[str]], Any], body: dict[str, str], param: str
) -> None:
    upload = await begun(stored_client, 4)
    part_ids = await added(stored_client, upload, b"ab", b"cd")
    refused = await complete(stored_client, upload, choose(part_ids), **body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param
    assert len(on_disk(settings)) == 2
    assert await content(stored_client, await complete(stored_client, upload, part_ids[::-1])) == b"cdab"


async def test_a_batch_in_parts_is_looked_at_as_a_whole(stored_client: Client, settings: Settings) -> None:
    text = '{"a": "€"}\n'.encode()
    upload = await begun(stored_client, len(text), purpose="batch")
    part_ids = await added(stored_client, upload, text[:9], text[9:])  # in the middle of a character
    refused = await complete(stored_client, upload, part_ids[::-1])
    assert refused.status_code == 400
    assert "UTF-8" in refused.json()["error"]["message"]
    done = (await complete(stored_client, upload, part_ids)).json()
    assert done["file"]["expires_at"] == done["file"]["created_at"] + 30 * 86400
    assert len(on_disk(settings)) == 1


async def test_parts_have_limits(stored_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await begun(stored_client, 10)
    assert (await add(stored_client, upload, b"x" * 11)).status_code == 413
    for _ in range(2):  # a part that was lost on its way is sent again
        assert (await add(stored_client, upload, b"x" * 10)).status_code == 200
    assert (await add(stored_client, upload, b"x")).status_code == 413
    monkeypatch.setattr(uploads, "MAX_PARTS", 2)
    assert (await add(stored_client, upload, b"x")).status_code == 400
    assert len(on_disk(settings)) == 2


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"bytes": 0}, 400, "bytes"),
    ({"bytes": -1}, 400, "bytes"),
    ({"bytes": "10"}, 400, "bytes"),
    ({"bytes": 10**15}, 413, "bytes"),
    ({"purpose": "fine-tune"}, 400, "purpose"),
    ({"filename": ""}, 400, "filename"),
    ({"mime_type": None}, 400, "mime_type"),
    ({"expires_after": {"anchor": "created_at", "seconds": 1}}, 400, "expires_after.seconds"),
    ({"expires_after": {"anchor": "created_at", "seconds": "3600"}}, 400, "expires_after.seconds"),
    ({"filename": "\ud800"}, 400, "filename"),
    ({"purpose": "\ud800"}, 400, "purpose"),
    ({"colour": "red"}, 400, "colour"),
]


async def test_a_beginning_that_is_wrong(stored_client: Client) -> None:
    for body, status, param in WRONG:
        answer = await begin(stored_client, 10, **body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), body


async def test_what_is_over_takes_no_parts(stored_client: Client, settings: Settings) -> None:
    upload = await begun(stored_client, 2)
    part_ids = await added(stored_client, upload, b"ab")
    for _ in range(2):
        assert (await cancel(stored_client, upload)).json()["status"] == "cancelled"
    assert on_disk(settings) == []
    for attempt in (add(stored_client, upload, b"x"), complete(stored_client, upload, part_ids)):
        answer = await attempt
        assert answer.status_code == 400
        assert "cancelled" in answer.json()["error"]["message"]


async def test_an_upload_ends_after_an_hour(
    stored_client: Client, running_app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(stored_client, 2)
    part_ids = await added(stored_client, upload, b"ab")
    later = uploads.now() + 3600 * 1000
    monkeypatch.setattr(uploads, "now", lambda: later)
    refused = await complete(stored_client, upload, part_ids)
    assert "expired" in refused.json()["error"]["message"]
    monkeypatch.setattr(service_module, "now", lambda: later)
    await running_app.state.files.sweep()
    assert on_disk(settings) == []
    assert "expired" in (await add(stored_client, upload, b"x")).json()["error"]["message"]
    monkeypatch.setattr(service_module, "now", lambda: later + 86400 * 1000)
    await running_app.state.files.sweep()
    assert (await add(stored_client, upload, b"x")).status_code == 404


async def test_parts_outlive_a_restart(stored_app: FastAPI) -> None:
    @asynccontextmanager
    async def started() -> AsyncIterator[Client]:
        async with stored_app.router.lifespan_context(stored_app), client_of(stored_app) as client:
            yield client

    async with started() as client:
        upload = await begun(client, 4)
        part_ids = await added(client, upload, b"ab")
    async with started() as client:
        part_ids += await added(client, upload, b"cd")
        done = await complete(client, upload, part_ids)
        assert await content(client, done) == b"abcd"


class TestQuota:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path, max_stored_bytes=10)

    async def test_parts_count_and_then_the_file_does(self, stored_client: Client) -> None:
        assert (await begin(stored_client, 11)).status_code == 413
        upload = await begun(stored_client, 6)
        other = await begun(stored_client, 6)
        part_ids = await added(stored_client, upload, b"123456")
        assert (await add(stored_client, other, b"12345")).status_code == 413
        assert (await complete(stored_client, upload, part_ids)).status_code == 200
        assert (await add(stored_client, other, b"1234")).status_code == 200
