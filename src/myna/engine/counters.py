"""What the engine counts, under the names that Prometheus will show."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

WAIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of how long somebody waits: in the queue, and for the first token; in seconds."""
TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the time from one token to the next, in seconds."""


class Histogram:
    """How often something took how long."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one that took so long."""
        self.seconds += seconds
        self.counts[bisect_left(self.bounds, seconds)] += 1

    def export(self, name: str) -> dict[str, float]:
        """Its cumulative parts."""
        exported: dict[str, float] = {}
        cumulative = 0
        for bound, count in zip((*(f"{bound:g}" for bound in self.bounds), "+Inf"), self.counts, strict=True):
            cumulative += count
            exported[f'{name}_bucket{{le="{bound}"}}'] = cumulative
        return exported | {f"{name}_sum": self.seconds, f"{name}_count": cumulative}


@dataclass(slots=True)
class Counters:
    """Totals since the engine started."""

    requests: int = 0
    requests_cancelled: int = 0
    requests_failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    draft_tokens: int = 0
    accepted_draft_tokens: int = 0
    steps: int = 0
    step_seconds: float = 0.0
    forward_seconds: float = 0.0
    queue: Histogram = field(default_factory=lambda: Histogram(WAIT_BUCKETS))
    first_token: Histogram = field(default_factory=lambda: Histogram(WAIT_BUCKETS))
    between_tokens: Histogram = field(default_factory=lambda: Histogram(TOKEN_BUCKETS))

    def export(self) -> dict[str, float]:
        """Counters, and the histograms as their cumulative parts."""
        return {
            "requests_total": self.requests,
            "requests_cancelled_total": self.requests_cancelled,
            "requests_failed_total": self.requests_failed,
            "prompt_tokens_total": self.prompt_tokens,
            "cached_tokens_total": self.cached_tokens,
            "generated_tokens_total": self.generated_tokens,
            "draft_tokens_total": self.draft_tokens,
            "accepted_draft_tokens_total": self.accepted_draft_tokens,
            "steps_total": self.steps,
            "step_seconds_total": self.step_seconds,
            "forward_seconds_total": self.forward_seconds,
            **self.queue.export("queue_seconds"),
            **self.first_token.export("first_token_seconds"),
            **self.between_tokens.export("between_tokens_seconds"),
        }
