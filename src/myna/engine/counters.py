"""What the engine counts, under the names that Prometheus will show."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

FIRST_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram of the time to the first token, in seconds."""


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
    first_token_seconds: float = 0.0
    first_token_counts: list[int] = field(default_factory=lambda: [0] * (len(FIRST_TOKEN_BUCKETS) + 1))

    def first_token(self, seconds: float) -> None:
        """Count a first token that took so long."""
        self.first_token_seconds += seconds
        self.first_token_counts[bisect_left(FIRST_TOKEN_BUCKETS, seconds)] += 1

    def export(self) -> dict[str, float]:
        """Counters, and the histogram as its cumulative parts."""
        exported: dict[str, float] = {
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
        }
        cumulative = 0
        bounds = [*(f"{bound:g}" for bound in FIRST_TOKEN_BUCKETS), "+Inf"]
        for bound, count in zip(bounds, self.first_token_counts, strict=True):
            cumulative += count
            exported[f'first_token_seconds_bucket{{le="{bound}"}}'] = cumulative
        exported["first_token_seconds_sum"] = self.first_token_seconds
        exported["first_token_seconds_count"] = cumulative
        return exported
