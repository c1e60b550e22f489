"""The load generator counts what the server says, not what it hopes for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chat import chat
from benchmarks.load import load
from benchmarks.served import answers
from myna.chat import Message
from myna.errors import EngineBusy
from myna.server import openai
from myna.server.metrics import Metrics
from myna.server.shell import create_shell
from myna.settings import Settings
from tests.server.scripted import MODEL, ScriptedBackend, ScriptedHub, ScriptedModels, serving


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend(answer=("one", " two", " three", " four"))


@pytest.fixture
def address(backend: ScriptedBackend, tmp_path: Path) -> Iterator[str]:
    app = create_shell(Settings(data_dir=tmp_path), Metrics())
    app.state.models = ScriptedModels(backend)
    app.state.hub = ScriptedHub()
    app.include_router(openai.create_router())
    with serving(app) as url:
        yield url


def said(messages: tuple[Message, ...] | None) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages or ()]


async def test_every_request_is_sent_and_counted(address: str, backend: ScriptedBackend) -> None:
    figures = await load(address, MODEL, streams=3, requests=6, tokens=3)
    asked = [said(request.messages)[-1][1] for request in backend.requests]
    assert len(asked) == 7  # the first is to warm up
    assert len(set(asked)) == 7
    assert all(request.params.ignore_eos and request.params.temperature == 0 for request in backend.requests)
    assert figures["streams"] == 3
    assert figures["prompt_tokens"] > 0
    assert 0 < figures["first_token_seconds"] <= figures["first_token_seconds_worst"]
    assert figures["tokens_per_second"] > 0


async def test_a_chat_grows_by_what_was_said(address: str, backend: ScriptedBackend) -> None:
    figures = await chat(address, MODEL, turns=3, history=40)
    last = said(backend.requests[-1].messages)
    assert [role for role, _ in last if role != "system"] == ["user", "assistant"] * 2 + ["user"]
    assert [text for role, text in last if role == "assistant"] == ["one two"] * 2
    assert figures["cached_tokens"] == figures["prompt_tokens"] // 2  # as the scripted backend has it


async def test_a_refusal_ends_the_measurement(address: str, backend: ScriptedBackend) -> None:
    backend.failure = EngineBusy("Too many.")
    assert not answers(address, MODEL)
    with pytest.raises(RuntimeError, match="Too many"):
        await load(address, MODEL, 1, 1, 3)
