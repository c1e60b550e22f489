"""Files over HTTP: with the official client, and what is refused."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI

from myna.server.files import FileService
from myna.settings import Settings
from myna.store.pages import PageRequest

FILES = "/v1/files"
DAY = 86400
JSON = {"content-type": "application/json"}

Client = httpx2.AsyncClient


async def upload(client: Client, content: bytes = b"hello", name: str = "hello.txt", **fields: str) -> httpx2.Response:
    return await client.post(FILES, data={"purpose": "user_data"} | fields, files={"file": (name, content)})


async def stored(client: Client, content: bytes = b"hello", **fields: str) -> dict[str, Any]:
    answer = await upload(client, content, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def on_disk(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_dir / "files").rglob("*") if path.is_file()]


def test_the_official_client_keeps_files(stored_address: str) -> None:
    lines = b'{"custom_id": "1"}\n{"custom_id": "2"}\n'
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        made = client.files.create(file=("requests.jsonl", io.BytesIO(lines)), purpose="batch")
        assert (made.object, made.filename, made.bytes, made.purpose) == ("file", "requests.jsonl", len(lines), "batch")
        assert made.expires_at == made.created_at + 30 * DAY
        other = client.files.create(
            file=b"\x00\xff", purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        assert other.expires_at == other.created_at + 3600
        kept = client.files.create(file=("naïve.txt", b"x"), purpose="assistants")
        assert (kept.expires_at, kept.filename) == (None, "naïve.txt")
        assert client.files.retrieve(made.id) == made
        assert client.files.wait_for_processing(made.id) == made
        assert client.files.content(made.id).content == lines
        assert client.files.content(other.id).read() == b"\x00\xff"
        assert [file.id for file in client.files.list()] == [kept.id, other.id, made.id]
        assert [file.id for file in client.files.list(purpose="batch")] == [made.id]
        paged = client.files.list(limit=1, order="asc")
        assert paged.has_more
        assert [file.id for file in paged] == [made.id, other.id, kept.id]
        deleted = client.files.delete(made.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "file")
        with pytest.raises(openai.NotFoundError, match=made.id):
            client.files.retrieve(made.id)


async def test_the_official_asynchronous_client_keeps_files(stored_address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        made = await client.files.create(file=b"contents", purpose="user_data")
        assert [file.id async for file in client.files.list()] == [made.id]
        assert (await client.files.content(made.id)).content == b"contents"


async def test_a_file_is_nobody_elses(
    stored_client: Client, client_as: Callable[[str], AbstractAsyncContextManager[Client]]
) -> None:
    file = await stored(stored_client)
    async with client_as("ben") as ben:
        assert (await ben.get(FILES)).json()["data"] == []
        assert (await ben.get(FILES, params={"after": file["id"], "order": "asc"})).json()["data"] == []
        for method, path in (("GET", ""), ("GET", "/content"), ("HEAD", "/content"), ("DELETE", "")):
            answer = await ben.request(method, f"{FILES}/{file['id']}{path}", headers=JSON)
            assert answer.status_code == 404
            assert "hello" not in answer.text
    assert (await stored_client.get(f"{FILES}/{file['id']}/content")).content == b"hello"


async def test_a_download_is_a_download(stored_client: Client) -> None:
    """Whatever is in a file, a browser that is led to it neither shows nor runs it."""
    answer = await upload(stored_client, b"<script>alert(1)</script>", 'p"ä\r\n.html')
    path = f"{FILES}/{answer.json()['id']}/content"
    whole = await stored_client.get(path)
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"].startswith("attachment; filename*=utf-8''p")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-length"] == "25"
    head = await stored_client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "25")
    assert head.headers["etag"] == whole.headers["etag"]


async def test_a_range_of_a_file(stored_client: Client) -> None:
    file = await stored(stored_client, b"0123456789")
    ranges = {
        "bytes=2-4": b"234", "bytes=7-": b"789", "bytes=-2": b"89", "bytes=0-99": b"0123456789",
        # What cannot be given is ignored.
        "bytes=10-": None, "bytes=5-2": None, "bytes=0-1,4-5": None, "lines=1-2": None, "bytes=-0": None, "x": None,
    }  # fmt: skip
    for wanted, content in ranges.items():
        answer = await stored_client.get(f"{FILES}/{file['id']}/content", headers={"range": wanted})
        expected = (200, b"0123456789") if content is None else (206, content)
        assert (answer.status_code, answer.content) == expected, wanted


WRONG: list[tuple[dict[str, str], bytes, str, str]] = [
    ({"purpose": "vision"}, b"x", "purpose", "cannot be trained"),
    ({"purpose": "fine-tune"}, b"x", "purpose", "cannot be trained"),
    ({"purpose": "evals"}, b"x", "purpose", "no evaluations"),
    ({"purpose": "batch_output"}, b"x", "purpose", "must be one of"),
    ({"purpose": "Batch"}, b"x", "purpose", "must be one of"),
    ({"expires_after[seconds]": "3600"}, b"x", "expires_after.anchor", "Missing"),
    ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "60"}, b"x", "expires_after.seconds", ""),
    ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "1e9"}, b"x", "expires_after.seconds", ""),
    ({"expires_after[anchor]": "now", "expires_after[seconds]": "3600"}, b"x", "expires_after.anchor", ""),
    ({"colour": "red"}, b"x", "colour", "Unknown parameter"),
    ({"purpose": "batch"}, b"", "file", "empty"),
    ({"purpose": "batch"}, b"{}\n{}\n\xff\n", "file", "line 3"),
    ({"purpose": "batch"}, b"{}\n" * 90_000 + b"\xe2\x82\n", "file", "line 90001"),
    ({"purpose": "batch"}, b'{"a": "\xe2\x82', "file", "line 1"),
]  # fmt: skip


async def test_what_is_wrong_is_said_and_not_kept(stored_client: Client, settings: Settings) -> None:
    for fields, content, param, reason in WRONG:
        answer = await upload(stored_client, content, **fields)
        assert answer.status_code == 400, fields
        error = answer.json()["error"]
        assert error["param"] == param, fields
        assert reason in error["message"], fields
        assert on_disk(settings) == [], fields
    assert (await stored_client.get(FILES)).json()["data"] == []


async def test_the_fields_may_follow_the_file(stored_client: Client, settings: Settings) -> None:
    def form(purpose: str) -> bytes:
        return (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nabc\r\n'
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n' + purpose.encode() + b"\r\n--b--\r\n"
        )

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert (await stored_client.post(FILES, content=form("user_data"), headers=headers)).json()["bytes"] == 3
    assert (await stored_client.post(FILES, content=form("vision"), headers=headers)).status_code == 400
    assert len(on_disk(settings)) == 1


async def test_a_list_with_a_wrong_query(stored_client: Client) -> None:
    for query in ("limit=0", "limit=10001", "limit=x", "order=up", "color=red", "after=", "after=a&after=b"):
        answer = await stored_client.get(f"{FILES}?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["error"]["param"] == query.split("=")[0]


async def test_a_body_that_is_no_form(stored_client: Client) -> None:
    assert (await stored_client.post(FILES, json={"purpose": "batch"})).status_code == 415


async def test_contents_that_a_person_removed_are_said_to_be_gone(stored_client: Client, settings: Settings) -> None:
    file = await stored(stored_client)
    for path in on_disk(settings):
        path.unlink()
    answer = await stored_client.get(f"{FILES}/{file['id']}/content")
    assert answer.status_code == 404
    assert "gone from the disk" in answer.json()["error"]["message"]
    assert (await stored_client.delete(f"{FILES}/{file['id']}", headers=JSON)).status_code == 200


class TestLimits:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path, max_upload_bytes=1 << 20, max_stored_bytes=3 << 19)

    async def test_a_file_that_is_too_large(self, stored_client: Client, settings: Settings) -> None:
        for size in ((1 << 20) + 1, 2 << 20):  # within what a form may be, and beyond
            answer = await upload(stored_client, b"x" * size)
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "content_too_large"
        assert on_disk(settings) == []

    async def test_more_than_a_user_may_store(self, stored_client: Client, settings: Settings) -> None:
        await stored(stored_client, b"x" * (1 << 20))
        answer = await upload(stored_client, b"x" * (1 << 20))
        assert answer.status_code == 413
        assert "in all" in answer.json()["error"]["message"]
        assert len(on_disk(settings)) == 1


async def test_a_client_that_goes_in_the_middle_leaves_nothing(running_app: FastAPI, settings: Settings) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + os.urandom(1 << 20)

    messages = [{"type": "http.request", "body": chunk, "more_body": True} async for chunk in body()]
    messages.append({"type": "http.disconnect"})
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8642"), (b"content-type", b"multipart/form-data; boundary=b")]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": FILES,
        "raw_path": FILES.encode(), "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1),
        "scheme": "http", "server": ("127.0.0.1", 8642), "root_path": "",
    }  # fmt: skip
    await running_app(scope, receive, send)
    assert on_disk(settings) == []
    files: FileService = running_app.state.files
    assert (await files.listed("local", PageRequest())).items == []
