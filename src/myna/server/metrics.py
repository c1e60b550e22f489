"""What the server counts, and how Prometheus reads it: its own requests, and the engines' figures as they are."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myna.server.meter import IN_SCOPE, Meter, Use
from myna.server.shapes import refusal

access_logger = logging.getLogger("myna.access")
logger = logging.getLogger("myna.server")

CONTENT_TYPE = CONTENT_TYPE_LATEST
FIRST_BYTE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
UNMATCHED = "other"
"""Route label of everything that is no route, so that strangers' paths do not become labels."""

_BUCKET = re.compile(r'(?P<name>\w+)_bucket\{le="(?P<bound>[^"]+)"\}')


class Metrics:
    """The server's own counters; one registry an application, so that several can live in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "myna_http_requests_total",
            "HTTP requests by outcome.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.running = Gauge("myna_http_requests_running", "HTTP requests being answered.", registry=self.registry)
        self.first_byte = Histogram(
            "myna_http_first_byte_seconds",
            "From a request's head to the head of its answer; for streams, about the first token.",
            ["route"],
            buckets=FIRST_BYTE_BUCKETS,
            registry=self.registry,
        )

    def exposition(self, engines: Mapping[str, Mapping[str, float]]) -> bytes:
        """Everything in Prometheus' text format.

        Args:
            engines: by model name, each engine's statistics (names without prefix; ``_total`` marks a counter,
                ``_bucket``, ``_sum`` and ``_count`` the parts of a histogram).
        """
        return generate_latest(self.registry) + generate_latest(_Families(engine_families(engines)))


class _Families:
    """Metric families where a registry is expected."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families


def engine_families(engines: Mapping[str, Mapping[str, float]]) -> list[Metric]:
    """The engines' statistics as metric families with a ``model`` label."""
    families: dict[str, Metric] = {}
    for model, statistics in engines.items():
        figures = dict(statistics)
        if "kv_blocks" in figures and "kv_blocks_used" in figures:
            figures["kv_blocks_free"] = figures["kv_blocks"] - figures["kv_blocks_used"]
        buckets: dict[str, list[tuple[str, float]]] = {}
        for name in list(figures):
            if match := _BUCKET.fullmatch(name):
                buckets.setdefault(match["name"], []).append((match["bound"], figures.pop(name)))
        for name, bounds in buckets.items():
            family = families.setdefault(name, HistogramMetricFamily(f"myna_{name}", _help(name), labels=["model"]))
            assert isinstance(family, HistogramMetricFamily)
            bounds.sort(key=lambda bound: float(bound[0]))
            total = figures.pop(f"{name}_sum")
            figures.pop(f"{name}_count")
            family.add_metric([model], bounds, total)
        for name, value in figures.items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = families.setdefault(name, kind(f"myna_{name}", _help(name), labels=["model"]))
            assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
            family.add_metric([model], value)
    return list(families.values())


def _help(name: str) -> str:
    return f"Engine: {name.removesuffix('_total').replace('_', ' ')}."


class Observe:
    """ASGI middleware around all that can fail: a request's id, its place in the counters and the log, the last resort.

    An exception that nothing else translated is a fault of ours: it is logged with the request's id, and the client
    gets a 500 that carries the id and tells nothing else.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, meter: Meter) -> None:
        self.app = app
        self.metrics = metrics
        self.meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, time and log one HTTP request; pass WebSockets on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = f"req_{uuid.uuid4().hex}"
        scope[IN_SCOPE] = use = Use(request_id)
        began = time.perf_counter()
        status = 0

        async def observing_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if use.limits:
                    headers.update(self.meter.rates.headers(use.limits))
                self.metrics.first_byte.labels(_route(scope)).observe(time.perf_counter() - began)
            await send(message)

        with self.metrics.running.track_inprogress():
            try:
                await self.app(scope, receive, observing_send)
            except Exception:
                logger.exception("%s %s %s failed", request_id, scope["method"], _path(scope))
                if status:
                    raise  # the answer has begun: only closing the connection can tell the client
                message = f"The server failed; its log tells more under {request_id}."
                response = refusal(scope["path"], 500, message, code="internal_error")
                await response(scope, receive, observing_send)
            finally:
                self.metrics.requests.labels(_method(scope), _route(scope), str(status)).inc()
                access_logger.info(
                    "%s %s %s %d %.1f ms",
                    request_id,
                    scope["method"],
                    _path(scope),
                    status,
                    (time.perf_counter() - began) * 1000,
                )


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", UNMATCHED) or UNMATCHED


def _path(scope: Scope) -> str:
    """The path for the log: percent-encoded, so that it cannot end a line and begin one of its own."""
    return quote(scope["path"], "/:@", errors="replace")


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE") else UNMATCHED
