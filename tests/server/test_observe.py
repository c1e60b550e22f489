"""Every request has an id, and a line in the log that tells all but what was asked and said."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from myna.errors import EngineBusy
from myna.server import logs
from myna.server.logs import FIELDS, JsonLines, TextLines
from myna.settings import Settings
from tests.server.scripted import MODEL, ScriptedBackend

CHAT = "/v1/chat/completions"
SECRET = "a prompt that nobody else may read"
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}]}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "myna")
    return caplog


def told(lines: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The only line, as a program reads it."""
    [record] = lines.records
    text = JsonLines().format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


async def test_an_answer_and_its_line_share_an_id(client: httpx2.AsyncClient, lines: pytest.LogCaptureFixture) -> None:
    answer = await client.post(CHAT, json=ASKED, headers={"x-client-request-id": "mine-1"})
    line = told(lines)
    assert answer.headers["x-request-id"] == line["request_id"]
    assert line.pop("duration_ms") > 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "myna.access",
        "message": f"POST {CHAT} 200",
        "request_id": answer.headers["x-request-id"],
        "client_request_id": "mine-1",
        "method": "POST",
        "route": CHAT,
        "status": 200,
        "user": "local",
        "key": None,
        "model": MODEL,
        "prompt_tokens": 7,
        "completion_tokens": 3,
    }
    assert (await client.get("/v1/models")).headers["x-request-id"] != answer.headers["x-request-id"]


async def test_a_streams_line_comes_with_its_end(client: httpx2.AsyncClient, lines: pytest.LogCaptureFixture) -> None:
    await client.post(CHAT, json=ASKED | {"stream": True})
    assert told(lines)["completion_tokens"] == 3


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT, ASKED, 200),
        (CHAT, ASKED | {"stream": True}, 200),
        (CHAT, ASKED | {"temperature": SECRET}, 400),
        (CHAT, {"model": SECRET, "messages": []}, 400),
        (CHAT, ASKED | {"model": MODEL, SECRET: 1}, 400),
        ("/v1/embeddings", {"model": MODEL, "input": SECRET}, 200),
    ],
)
async def test_nothing_of_a_body_is_in_a_line(
    client: httpx2.AsyncClient, lines: pytest.LogCaptureFixture, path: str, body: dict[str, Any], status: int
) -> None:
    assert (await client.post(path, json=body)).status_code == status
    for record in lines.records:
        for line in (JsonLines().format(record), TextLines().format(record)):
            assert SECRET not in line
            assert "Hello" not in line


async def test_what_is_refused_has_an_id_and_a_line_too(
    client: httpx2.AsyncClient, backend: ScriptedBackend, lines: pytest.LogCaptureFixture
) -> None:
    backend.failure = EngineBusy("Too many wait.")
    refused = await client.post(CHAT, json=ASKED)
    line = told(lines)
    assert (line["status"], line["request_id"]) == (429, refused.headers["x-request-id"])
    lines.clear()
    strange = await client.get("/v1/models", headers={"host": "evil.example"})
    line = told(lines)
    assert (line["status"], line["request_id"]) == (403, strange.headers["x-request-id"])
    assert (line["user"], line["route"]) == (None, "other")


async def test_what_strangers_send_cannot_write_lines_of_its_own(
    client: httpx2.AsyncClient, lines: pytest.LogCaptureFixture
) -> None:
    forged = b"x\x1b[2J" + b"y" * 1000
    await client.get("/v1/models/x%0a12:00:00%20INFO%20forged%1b[2J", headers={b"x-client-request-id": forged})
    [record] = lines.records
    text = TextLines().format(record)
    assert text.isprintable()
    assert "GET /v1/models/x%0A12:00:00%20INFO%20forged%1B%5B2J 404" in text
    assert len(text) < 500


async def test_a_fault_of_ours_is_logged_with_the_id(
    app: FastAPI, client: httpx2.AsyncClient, lines: pytest.LogCaptureFixture
) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("the reason")

    answer = await client.get("/broken")
    fault, access = (json.loads(JsonLines().format(record)) for record in lines.records)
    assert fault["level"] == "error"
    assert "ZeroDivisionError: the reason" in fault["exception"]
    assert fault["request_id"] == access["request_id"] == answer.headers["x-request-id"]


async def test_without_the_level_no_line_is_made(client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "myna")
    await client.get("/v1/models")
    assert not caplog.records


@contextmanager
def bare_logging() -> Iterator[None]:
    """Logging as a process finds it, without the handlers of pytest."""
    root, own = logging.getLogger(), logging.getLogger("myna")
    before = root.handlers[:], root.level, own.level
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        own.setLevel(before[2])


def test_libraries_are_never_asked_for_details(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """They would write every statement with what is stored, and every frame of a WebSocket."""
    with bare_logging():
        logs.configure(settings.model_copy(update={"log_level": "debug", "log_format": "json"}))
        logging.getLogger("aiosqlite").debug("INSERT %s", SECRET)
        logging.getLogger("websockets.server").debug("> TEXT %s", SECRET)
        logging.getLogger("myna.server").debug("a detail")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "a detail"


def test_nothing_below_the_level_is_written(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with bare_logging():
        logs.configure(settings)
        logging.getLogger("myna.server").info("quiet")
        logging.getLogger("myna.server").warning("loud")
    assert capsys.readouterr().err.endswith(" WARNING myna.server: loud\n")


def test_lines_for_people_leave_out_what_is_not_there() -> None:
    record = logging.makeLogRecord(
        {"name": "n", "levelname": "INFO", "msg": "done", FIELDS: {"user": "ann", "key": None}}
    )
    assert TextLines().format(record).endswith(" INFO n: done user=ann")
