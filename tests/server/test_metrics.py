"""What Prometheus reads: the server's counters by route, the engines' figures by model."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from myna.server import openai
from myna.server.metrics import Metrics
from myna.server.shell import create_shell
from myna.settings import Settings
from tests.server.scripted import MODEL, ScriptedBackend, ScriptedHub, ScriptedModels

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(settings: Settings, metrics: Metrics, backend: ScriptedBackend) -> FastAPI:
    app = create_shell(settings, metrics)
    app.state.models = ScriptedModels(backend)
    app.state.hub = ScriptedHub()
    app.include_router(openai.create_router())
    return app


def samples(exposition: bytes) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_and_outcome(client: httpx2.AsyncClient, metrics: Metrics) -> None:
    await client.get("/v1/models")
    await client.get(f"/v1/models/{MODEL}")
    await client.get("/v1/models/none")
    await client.get("/strangers/path/1")
    await client.get("/strangers/path/2")
    await client.request("BREW", "/v1/models")
    found = samples(metrics.exposition({}))

    def count(method: str, route: str, status: str) -> float:
        return found["myna_http_requests_total", (("method", method), ("route", route), ("status", status))]

    assert count("GET", "/v1/models", "200") == 1
    assert count("GET", "/v1/models/{name:path}", "200") == 1
    assert count("GET", "/v1/models/{name:path}", "404") == 1
    assert count("GET", "other", "404") == 2
    assert not [labels for _, labels in found if "strangers" in str(labels) or "BREW" in str(labels)]
    assert found["myna_http_requests_running", ()] == 0


def test_engine_figures_carry_their_model(metrics: Metrics) -> None:
    statistics = {
        "generated_tokens_total": 12.0,
        "requests_waiting": 3.0,
        "kv_blocks": 64.0,
        "kv_blocks_used": 10.0,
        'first_token_seconds_bucket{le="0.1"}': 2.0,
        'first_token_seconds_bucket{le="+Inf"}': 5.0,
        "first_token_seconds_sum": 1.5,
        "first_token_seconds_count": 5.0,
    }
    found = samples(metrics.exposition({"a": statistics, 'b"\n': {"requests_waiting": 1.0}}))
    assert found["myna_generated_tokens_total", (("model", "a"),)] == 12
    assert found["myna_requests_waiting", (("model", "a"),)] == 3
    assert found["myna_requests_waiting", (("model", 'b"\n'),)] == 1
    assert found["myna_kv_blocks_free", (("model", "a"),)] == 54
    assert found["myna_first_token_seconds_bucket", (("le", "0.1"), ("model", "a"))] == 2
    assert found["myna_first_token_seconds_count", (("model", "a"),)] == 5
    assert found["myna_first_token_seconds_sum", (("model", "a"),)] == 1.5
