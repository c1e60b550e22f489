"""Spans as a collector receives them, over the standard protocol."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from myna.errors import ConfigurationError, EngineCrashed
from myna.server import tracing
from myna.server.identity import LOCAL
from myna.server.inside import call
from myna.server.tracing import open_tracing
from myna.settings import Settings
from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL, ScriptedBackend

CHAT = "/v1/chat/completions"
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "a secret question"}], "temperature": 0.5, "seed": 3}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Keeps what it is sent: each span as a dictionary, by name."""

    def __init__(self) -> None:
        self.spans: dict[str, dict[str, Any]] = {}
        self.resource: dict[str, Any] = {}
        self.raw = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        self.raw += body
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resource = attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans[span.name] = {
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "failed": span.status.code == 2,
                        "events": [event.name for event in span.events],
                    } | attributes(span.attributes)


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", WAIT_SECONDS)  # what is told last is told, on a slow machine too
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.fixture
def settings(settings: Settings, collector: Collector) -> Settings:
    return settings.model_copy(update={"telemetry": True})


@pytest.fixture
def web(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://localhost:8642")


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_and_its_answer_are_spans_of_the_callers_trace(
    app: FastAPI, web: TestClient, collector: Collector, stream: bool
) -> None:
    answer = web.post(CHAT, json=ASKED | {"stream": stream}, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    app.state.tracing.close()
    request, generation = collector.spans[f"POST {CHAT}"], collector.spans[f"chat {MODEL}"]
    assert (request["trace"], request["parent"]) == (TRACE, PARENT)
    assert (generation["trace"], generation["parent"]) == (TRACE, request["id"])
    assert request["http.route"] == CHAT
    assert request["http.response.status_code"] == 200
    assert request["myna.request.id"] == answer.headers["x-request-id"]
    for span in (request, generation):
        assert span["gen_ai.request.model"] == MODEL
        assert span["gen_ai.usage.input_tokens"] == 3
        assert span["gen_ai.usage.output_tokens"] == 3
        assert not span["failed"]
    assert generation["gen_ai.operation.name"] == "chat"
    assert generation["gen_ai.request.temperature"] == 0.5
    assert generation["gen_ai.request.seed"] == 3
    assert [value.string_value for value in generation["gen_ai.response.finish_reasons"].values] == ["stop"]
    assert generation["events"] == ["first token"]
    assert collector.resource["service.name"] == "myna"
    assert collector.resource["deployment.environment.name"] == "test"
    assert b"secret" not in collector.raw
    assert b"Hello" not in collector.raw


def test_other_uses_of_a_model_are_named(app: FastAPI, web: TestClient, collector: Collector) -> None:
    web.post("/v1/completions", json={"model": MODEL, "prompt": "Hi"})
    web.post("/v1/embeddings", json={"model": MODEL, "input": "one two", "dimensions": 2})
    web.get("/v1/models")
    app.state.tracing.close()
    assert collector.spans[f"text_completion {MODEL}"]["gen_ai.usage.output_tokens"] == 3
    embedding = collector.spans[f"embeddings {MODEL}"]
    assert embedding["gen_ai.usage.input_tokens"] == 2
    assert embedding["gen_ai.embeddings.dimension.count"] == 2
    assert "gen_ai.request.model" not in collector.spans["GET /v1/models"]


def test_a_failure_is_told(app: FastAPI, web: TestClient, collector: Collector, backend: ScriptedBackend) -> None:
    backend.late_failure = EngineCrashed("It broke.")
    assert web.post(CHAT, json=ASKED).status_code == 503
    app.state.tracing.close()
    generation = collector.spans[f"chat {MODEL}"]
    assert generation["failed"]
    assert generation["error.type"] == "engine_crashed"
    assert collector.spans[f"POST {CHAT}"]["failed"]


async def test_a_client_that_goes_is_no_failure(app: FastAPI, collector: Collector, backend: ScriptedBackend) -> None:
    backend.gate = asyncio.Event()
    asking = asyncio.create_task(call(app, LOCAL, CHAT, json.dumps(ASKED).encode()))
    await asyncio.to_thread(backend.paused.wait, WAIT_SECONDS)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.to_thread(app.state.tracing.close)
    generation = collector.spans[f"chat {MODEL}"]
    assert (generation["error.type"], generation["failed"]) == ("cancelled", False)
    assert generation["gen_ai.usage.output_tokens"] == 1


def test_a_collector_that_is_gone_does_not_hold_up_the_end(
    app: FastAPI, web: TestClient, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.01)
    answering = threading.Event()
    monkeypatch.setattr(collector, "take", lambda body: answering.wait(WAIT_SECONDS))
    web.post(CHAT, json=ASKED)
    app.state.tracing.close()
    assert not collector.spans, "it is not waited for"
    answering.set()


def test_without_the_extra_the_start_says_how_to_get_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"myna\[telemetry\]"):
        open_tracing(settings)


def test_what_is_not_asked_for_is_not_imported() -> None:
    code = (
        "import sys; from myna.server.shell import create_shell; from myna.server.metrics import Metrics; "
        "from myna.settings import Settings; assert create_shell(Settings(), Metrics()).state.tracing is None; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
