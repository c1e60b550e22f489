"""The browser application's files: cached as long as they may be, compressed, and nothing beside them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from myna.server.web import WebApplication, load

PAGE = "<!doctype html><title>Myna</title>"
SCRIPT = "console.log('a script');\n" * 100


@pytest.fixture
def static(tmp_path: Path) -> Path:
    directory = tmp_path / "static"
    (directory / "assets").mkdir(parents=True)
    (directory / "index.html").write_text(PAGE)
    (directory / "favicon.svg").write_text("<svg/>")
    (directory / "assets" / "index-abc123.js").write_text(SCRIPT)
    (directory / "assets" / "font-def.woff2").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "secret.txt").write_text("secret")
    return directory


@pytest.fixture
def app(app: FastAPI, static: Path) -> FastAPI:
    app.router.default = WebApplication(static)
    return app


async def test_the_page_is_asked_for_again(client: httpx2.AsyncClient) -> None:
    response = await client.get("/")
    assert response.text == PAGE
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    again = await client.get("/", headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


async def test_a_changed_page_is_sent_anew(client: httpx2.AsyncClient, static: Path) -> None:
    old = await client.get("/")
    (static / "index.html").write_text(PAGE + "new")
    os.utime(static / "index.html", ns=(1, 1))
    response = await client.get("/", headers={"if-none-match": old.headers["etag"]})
    assert response.status_code == 200
    assert response.text.endswith("new")


async def test_assets_are_cached_for_good(client: httpx2.AsyncClient) -> None:
    response = await client.get("/assets/index-abc123.js")
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (await client.get("/favicon.svg")).headers["cache-control"] == "no-cache"


async def test_text_travels_compressed(client: httpx2.AsyncClient) -> None:
    async with client.stream("GET", "/assets/index-abc123.js", headers={"accept-encoding": "gzip, br"}) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["vary"] == "accept-encoding"
    assert len(raw) < len(SCRIPT) / 10
    assert gzip.decompress(raw).decode() == SCRIPT


def test_a_file_is_kept_once(tmp_path: Path) -> None:
    file = tmp_path / "index.js"
    file.write_text(SCRIPT)
    assert gzip.decompress(load(file, 1).body).decode() == SCRIPT


async def test_what_gains_nothing_travels_plain(client: httpx2.AsyncClient) -> None:
    accepts = {"accept-encoding": "gzip"}
    assert "content-encoding" not in (await client.get("/assets/font-def.woff2", headers=accepts)).headers
    assert "content-encoding" not in (await client.get("/favicon.svg", headers=accepts)).headers
    plain = await client.get("/assets/index-abc123.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == SCRIPT


async def test_the_applications_own_paths_are_the_page(client: httpx2.AsyncClient) -> None:
    response = await client.get("/c/1234", headers={"accept": "text/html,*/*"})
    assert response.text == PAGE


@pytest.mark.parametrize(
    "path",
    [
        "/assets/missing.js",
        "/missing.png",
        "/v1/missing",
        "/api/missing",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "http://127.0.0.1:8642//secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/a%00b.js",
        "/" + "x" * 5000 + ".js",
    ],
)
async def test_everything_else_is_404_in_the_usual_shape(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"accept": "text/html,*/*"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert "secret\n" not in response.text


async def test_files_are_only_read(client: httpx2.AsyncClient) -> None:
    response = await client.post("/", json={})
    assert response.status_code == 405
    head = await client.head("/")
    assert head.status_code == 200


async def test_an_installation_without_the_application_says_so(app: FastAPI, tmp_path: Path) -> None:
    app.router.default = WebApplication(tmp_path / "nowhere")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
        response = await client.get("/")
    assert response.status_code == 503
    assert "pip install" in response.json()["error"]["message"]
