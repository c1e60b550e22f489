"""The table of what OpenAI's API has: held to the official client, to the routes, and to docs/api.md."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import openai as official
import pytest

from myna.server.openai.missing import MISSING, Missing

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "api.md"

_CALL = re.compile(
    r"self\._(?P<method>get_api_list|get|post|put|patch|delete)\(\s*(?:path_template\(\s*)?f?\"(?P<path>/[^\"?]*)"
)


def client_endpoints() -> set[tuple[str, str]]:
    """(method, path below ``/v1``) of every request that the official client makes; an id is ``x``."""
    found = set()
    for file in (Path(official.__file__).parent / "resources").rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        for call in _CALL.finditer(source):
            method = call["method"]
            if method == "get_api_list":
                named = re.match(r'(?:(?!self\._).)*?method="(\w+)"', source[call.end() :], re.DOTALL)
                method = named[1] if named else "get"
            found.add((method.upper(), re.sub(r"\{[^}]*\}", "x", call["path"])))
    return found


def documented() -> list[tuple[str, str, str]]:
    """The rows of the document's table: endpoints, state, reason."""
    section = DOCUMENT.read_text(encoding="utf-8").partition("## Coverage")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [(row[0].strip(), row[1].strip(), row[2].strip() if len(row) > 2 else "") for row in rows]


def endpoints(missing: Missing) -> str:
    paths = [f"`{method} /v1{path}`" for path in missing.paths for method in missing.methods]
    return ", ".join(paths or [f"`/v1{path}`" for path in missing.paths])


@pytest.fixture(scope="module")
def asked() -> set[tuple[str, str]]:
    return client_endpoints()


def test_the_client_asks_for_what_it_is_known_to(asked: set[tuple[str, str]]) -> None:
    assert len(asked) > 200
    assert {("POST", "/chat/completions"), ("DELETE", "/models/x"), ("GET", "/files/x/content")} <= asked


async def test_the_document_shows_the_table(stored_client: httpx2.AsyncClient, asked: set[tuple[str, str]]) -> None:
    rows = documented()
    missing = [(endpoints(missing), missing.state, missing.reason) for missing in MISSING]
    assert [row for row in rows if row[1] != "supported"] == missing
    supported = set()
    for method, path in asked:
        answer = await stored_client.request(method, f"/v1{path}", json=None if method == "GET" else {})
        if answer.status_code != 501:
            supported.add((method, path))
            assert "There is no " + method not in answer.text, f"{method} {path} is in no table"
            assert answer.status_code != 405, f"{method} {path} is in no table"
    names = {tuple(re.sub(r"\{[^}]*\}", "x", row[0].strip("`")).split(" ")) for row in rows if row[1] == "supported"}
    assert {(method, f"/v1{path}") for method, path in supported} == names


@pytest.mark.parametrize("missing", MISSING, ids=lambda missing: missing.paths[0])
async def test_what_is_missing_says_so(client: httpx2.AsyncClient, missing: Missing) -> None:
    for path in missing.paths:
        answer = await client.request((missing.methods or ("POST",))[0], f"/v1{path}", json={})
        assert answer.status_code == 501
        assert answer.json() == {
            "error": {"message": missing.reason, "type": "server_error", "param": None, "code": "not_implemented"}
        }


async def test_the_official_client_does_not_try_again(address: str) -> None:
    with official.OpenAI(base_url=f"{address}/v1", api_key="none") as client:
        with pytest.raises(official.InternalServerError, match="make images") as failure:
            client.images.generate(prompt="a myna", model="x")
        assert failure.value.status_code == 501
        assert failure.value.response.headers["x-should-retry"] == "false"
