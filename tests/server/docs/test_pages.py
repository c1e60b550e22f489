"""The reference pages: complete, readable without scripts and other hosts, and safe whatever the document says."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx2
import pytest
from fastapi import FastAPI

from myna.server import anthropic, api, docs, ollama, openai
from myna.server.docs.commands import curl
from myna.server.docs.reference import METHODS, SUBJECTS, read
from myna.server.docs.words import known_words
from myna.server.metrics import Metrics
from myna.server.shell import create_shell
from myna.settings import Settings

MOST_USED = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages", "/api/chat", "/api/generate")
HOSTILE = "<script>alert(1)</script>\"' {{ 7 * 7 }} `</code><img src=x onerror=alert(2)>`"


class Page(HTMLParser):
    """What a browser would fetch or could run, and the targets that links may name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            elif tag == "a" and name == "href":
                self.links.append(value or "")
            elif name in ("src", "href", "srcset", "action"):
                self.loaded.append(value or "")


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """All routes, which nobody asks for anything here but their description."""
    application = create_shell(settings, Metrics())
    application.include_router(openai.create_router(), tags=["OpenAI"])
    application.include_router(anthropic.create_router(), tags=["Anthropic"])
    application.include_router(ollama.create_router(), tags=["Ollama"])
    application.include_router(api.create_router(), tags=["Application"])
    application.include_router(docs.create_router())
    return application


@pytest.fixture
async def pages(client: httpx2.AsyncClient) -> dict[str, str]:
    index = (await client.get("/docs")).text
    found = {"/docs": index}
    for link in Page(index).links:
        path = link.partition("#")[0]
        if path.startswith("/docs/") and path not in found:
            response = await client.get(path)
            assert response.status_code == 200, path
            found[path] = response.text
    return found


async def test_every_route_is_listed_and_told_of(app: FastAPI, pages: dict[str, str]) -> None:
    routes = [
        (method.upper(), path)
        for path, known in app.openapi()["paths"].items()
        for method in METHODS
        if method in known
    ]
    assert len(routes) > 30
    told = [operation for subject in read(app.openapi()) for operation in subject.operations]
    assert sorted((operation.method, operation.path) for operation in told) == sorted(routes)
    listed = Page(pages["/docs"]).links
    for subject in read(app.openapi()):
        page = Page(pages[f"/docs/{subject.slug}"])
        assert len(page.ids) == len(set(page.ids))
        for operation in subject.operations:
            assert f"/docs/{subject.slug}#{operation.anchor}" in listed
            assert operation.anchor in page.ids
            assert operation.summary


async def test_nothing_is_loaded_but_the_style_sheet_and_the_icon(
    client: httpx2.AsyncClient, pages: dict[str, str]
) -> None:
    for html in pages.values():
        page = Page(html)
        assert set(page.loaded) == {"/favicon.svg", "/docs/reference.css"}
        assert not page.tags & {"script", "style", "iframe", "img", "form", "object", "base"}
        assert not {name for name in page.attributes if name == "style" or name.startswith("on")}
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in page.links)
    css = await client.get("/docs/reference.css")
    assert css.headers["content-type"].startswith("text/css")
    assert "url(" not in css.text
    assert "@import" not in css.text
    assert "style-src 'self'" in (await client.get("/docs")).headers["content-security-policy"]


async def test_a_field_tells_its_type_range_default_and_meaning(pages: dict[str, str]) -> None:
    text = " ".join(re.sub(r"<[^>]*>", " ", pages["/docs/openai"]).split())
    assert "temperature number from 0 to 2; default 1.0 How freely the model chooses; 0: always the likeliest" in text
    assert "model required text, 1 to 1,024 characters A name that GET /v1/models lists, or default ." in text
    assert "whole number below 2^31" not in text


@pytest.mark.parametrize("path", MOST_USED)
def test_all_fields_of_what_is_used_most_are_explained(app: FastAPI, path: str) -> None:
    (told,) = [
        each for subject in read(app.openapi()) for each in subject.operations if each.path == path and each.body
    ]
    assert told.body
    assert [field.name for field in told.body if "." not in field.name and not field.text] == []


def test_examples_have_what_is_required(app: FastAPI) -> None:
    operations = {(each.method, each.path): each for subject in read(app.openapi()) for each in subject.operations}
    assert curl(operations["POST", "/v1/completions"], "http://localhost:8642") == (
        "curl http://localhost:8642/v1/completions \\\n"
        '  -H "Authorization: Bearer $MYNA_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        '  -d \'{\n  "model": "default",\n  "prompt": "The capital of France is"\n}\''
    )
    assert curl(operations["DELETE", "/v1/models/{name}"], "").startswith("curl -X DELETE /v1/models/NAME")
    assert "Authorization" not in curl(operations["POST", "/api/session"], "")
    assert "myna_session=" in curl(operations["GET", "/api/users"], "")
    assert curl(operations["POST", "/v1/files"], "").endswith("-F file=@FILE \\\n  -F purpose=batch")
    for operation in operations.values():
        if operation.media == "application/json" and operation.method == "POST":
            required = {field.name for field in operation.body if field.required and "." not in field.name}
            assert required <= set(operation.example or {}), operation.path


def test_a_quote_in_an_example_does_not_end_the_command() -> None:
    body = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    content = {"application/json": {"schema": body}}
    document = {"paths": {"/x": {"post": {"description": "X.", "requestBody": {"content": content}}}}}
    (subject,) = read(document)
    (operation,) = subject.operations
    object.__setattr__(operation, "example", {"a": "it's"})
    assert curl(operation, "").endswith("""-d '{\n  "a": "it'\\''s"\n}'""")
    assert subject.name in SUBJECTS


async def test_who_may_ask_is_told(pages: dict[str, str]) -> None:
    users = pages["/docs/application"].partition('id="get-api-users"')[2].partition("</article>")[0]
    assert "Owners and admins who are signed in to the application; no key." in users
    models = pages["/docs/openai"].partition('id="get-v1-models"')[2].partition("</article>")[0]
    assert "Whoever is signed in, and every key." in models


def test_words_are_about_routes_that_there_are(app: FastAPI) -> None:
    told = [operation for subject in read(app.openapi()) for operation in subject.operations]
    assert set(known_words()["at"]) <= {operation.path for operation in told}
    assert set(known_words()["example"]["of"]) <= {f"{operation.method} {operation.path}" for operation in told}


async def test_what_the_document_says_is_text(
    app: FastAPI, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"application/json": {"schema": {"properties": {HOSTILE: {"description": HOSTILE, "default": HOSTILE}}}}}
    described = {"description": HOSTILE, "requestBody": {"content": content}, "tags": ["OpenAI"]}
    monkeypatch.setattr(app, "openapi", lambda: {"paths": {"/" + HOSTILE: {"post": described}}})
    for path in ("/docs", "/docs/openai"):
        html = (await client.get(path)).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert "{{ 7 * 7 }}" in html
        page = Page(html)
        assert not page.tags & {"script", "img"}
        assert not {name for name in page.attributes if name.startswith("on")}


async def test_unknown_pages_are_not_found(client: httpx2.AsyncClient) -> None:
    response = await client.get("/docs/nothing")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert (await client.get("/docs/")).headers["location"] == "/docs"
    assert (await client.head("/docs")).status_code == 200
