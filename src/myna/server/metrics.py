"""What the server counts, and how Prometheus reads it: its own requests, and the engines' figures as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST
FIRST_BYTE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
UNMATCHED = "other"
"""Route label of everything that is no route, so that strangers' paths do not become labels."""

HELP = {
    "requests_waiting": "Sequences that wait for a place beside those that run.",
    "requests_running": "Sequences that are computed together.",
    "queue_seconds": "How long sequences waited before they ran.",
    "first_token_seconds": "From the arrival of a sequence to its first token.",
    "between_tokens_seconds": "From one token of a sequence to its next.",
    "cached_tokens_total": "Tokens of prompts that the prefix cache had.",
    "prompt_tokens_total": "Tokens of prompts, those that the prefix cache had included.",
    "generated_tokens_total": "Tokens of answers.",
    "kv_blocks_free": "Blocks of the KV cache that no running sequence holds.",
    "kv_blocks_cached": "Blocks that no sequence holds and that are kept for prompts to come.",
    "preemptions_total": "Sequences that gave their place to others and were computed again.",
}
"""What the engines' figures mean, where the name does not say it."""

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
    return HELP.get(name) or f"Engine: {name.removesuffix('_total').replace('_', ' ')}."
