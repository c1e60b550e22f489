"""Requests made from the OpenAPI document, to every route of the whole application, valid and not.

Each is answered in time, and each refusal is told in the shape of the API that was asked.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounds
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from starlette.types import Receive, Scope, Send

from myna.errors import SourcesUnreachable
from myna.hub import Hub
from myna.server import shapes
from myna.server.app import create_app
from myna.server.identity import IN_SCOPE, LOCAL
from myna.server.shapes import shape_of
from myna.settings import Settings
from tests.patience import WAIT_SECONDS
from tests.runs.conversation import new_id
from tests.server.scripted import MODEL, ScriptedBackend, ScriptedModels, serving

EXAMPLES = {GenerationMode.POSITIVE: 8, GenerationMode.NEGATIVE: 4}
"""Of each operation; these take longer to make."""
BOUNDED = bounds(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

VALID: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hello"}],
    "prompt": "Hello",
    "input": "Hello",
    "max_tokens": 5,
}
"""What makes a request reach a model, where it has such a field: by chance it would not."""


class Models(ScriptedModels):
    """One model that is always there, as the whole application asks for it."""

    budget = 0

    async def statistics(self) -> dict[str, dict[str, float]]:
        return {MODEL: await self.backend.statistics()}

    def loaded(self) -> list[object]:
        return []

    def subscribe(self, listener: Callable[[str], None]) -> Callable[[], None]:
        return lambda: None

    async def close(self) -> None:
        return


class OfflineHub(Hub):
    """Fetches nothing."""

    def pull(self, name: str, *_: Any, **__: Any) -> Path:
        raise SourcesUnreachable(name, [("the network", "not from a test")])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    directory = tmp_path_factory.mktemp("schema")
    models = Models(ScriptedBackend(answer=("Hello",)))
    return create_app(Settings(data_dir=directory), models, OfflineHub(directory / "models"))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    async def as_owner(scope: Scope, receive: Receive, send: Send) -> None:
        """Whatever accounts the requests make, or passwords they change."""
        await app({**scope, IN_SCOPE: LOCAL} if scope["type"] != "lifespan" else scope, receive, send)

    with serving(as_owner) as url:
        yield url


@pytest.fixture(scope="module")
def known(address: str) -> dict[str, str]:
    """Ids of things that are there, by the name that paths have for them."""
    chat = new_id()
    sent: dict[str, Any] = {
        "message": {"id": new_id(), "parent_id": None, "text": "Hello"},
        "run": {"id": new_id(), "message_id": new_id()},
    }
    asked = {"model": MODEL, "messages": VALID["messages"], "store": True}
    uploaded = {"filename": "a", "purpose": "batch", "bytes": 1, "mime_type": "application/json"}
    with httpx2.Client(base_url=address, timeout=WAIT_SECONDS) as client:
        made = {
            "completion_id": client.post("/v1/chat/completions", json=asked),
            "response_id": client.post("/v1/responses", json={"model": MODEL, "input": "Hello"}),
            "conversation_id": client.post("/v1/conversations", json={}),
            "upload_id": client.post("/v1/uploads", json=uploaded),
            "file_id": client.post("/v1/files", files={"file": ("a", b"{}")}, data={"purpose": "batch"}),
        }
        client.post(f"/api/chats/{chat}/messages", json=sent).raise_for_status()
    of_chat = {"chat_id": chat, "run_id": sent["run"]["id"], "message_id": sent["message"]["id"]}
    return {"name": MODEL} | of_chat | {name: answer.json()["id"] for name, answer in made.items()}


def complaint(path: str, answer: schemathesis.Response) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    if answer.status_code >= 500:
        return "a fault of ours"
    if not answer.headers.get("x-request-id", [""])[0].startswith("req_"):
        return "no request id"
    if answer.status_code < 400:
        return None
    try:
        body = answer.json()
        match shape_of(path):
            case shapes.OLLAMA:
                fits = set(body) == {"error"} and bool(body["error"])
            case shapes.ANTHROPIC:
                fits = body["type"] == "error" and set(body["error"]) == {"type", "message"}
            case _:
                error = body["error"]
                fits = set(error) == {"message", "type", "param", "code"} and bool(error["message"] and error["type"])
    except (ValueError, KeyError, TypeError):
        fits = False
    return None if fits else "an error in another shape"


def make_valid(case: schemathesis.Case[Any], known: dict[str, str]) -> None:
    """Put into a request what chance does not find: the model, words, and ids of things that are there."""
    if isinstance(case.body, dict) and case.media_type == "application/json":
        case.body = case.body | {name: value for name, value in VALID.items() if name in case.body}
    ids = {name: value for name, value in known.items() if name in case.path_parameters}
    case.path_parameters = {**case.path_parameters, **ids}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_every_request_is_answered_and_every_refusal_has_its_shape(
    app: FastAPI, address: str, known: dict[str, str], mode: GenerationMode
) -> None:
    """Valid is what the document says; every other request is made to reach further than chance would."""
    bounded = bounds(BOUNDED, max_examples=EXAMPLES[mode])
    wrong: Counter[str] = Counter()
    answered: Counter[int] = Counter()
    with requests.Session() as session:

        def ask(case: schemathesis.Case[Any], reaching: bool) -> None:
            if mode is GenerationMode.POSITIVE and reaching:
                make_valid(case, known)
            if not case.body and case.media_type is None:
                case.headers["content-type"] = "application/json"  # also with an empty body, see docs/security.md
            answer = case.call(base_url=address, session=session, timeout=WAIT_SECONDS)
            if answer.content == b"Invalid HTTP request received.":  # the server's own word: an address that is none
                return
            answered[answer.status_code] += 1
            if (found := complaint(case.operation.path, answer)) is not None:
                wrong[f"{case.operation.label}: {answer.status_code}, {found}: {answer.content[:200]!r}"] += 1

        for found in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
            assert isinstance(found, Ok), "the document can be read"
            cases = found.ok().as_strategy(mode)
            with contextlib.suppress(Unsatisfiable):  # it takes nothing that could be wrong
                bounded(given(cases, st.booleans())(ask))()
    assert not wrong
    assert answered[400] > 100
    assert mode is GenerationMode.NEGATIVE or answered[200] > 100
