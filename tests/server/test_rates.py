"""What may be asked for in a minute: in a clock of the test's own."""

from __future__ import annotations

import pytest

from myna.errors import RateLimited
from myna.server import rates
from myna.server.identity import Limits
from myna.server.rates import Rates, duration


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(clock: Clock) -> Rates:
    return Rates(clock)


ANN = {"user ann": Limits(requests_per_minute=6, tokens_per_minute=600)}


def refused(limited: Rates, limits: dict[str, Limits]) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        limited.admit(limits)
    return caught.value


def test_a_minutes_worth_may_come_at_once_and_then_one_in_its_time(limited: Rates, clock: Clock) -> None:
    for _ in range(6):
        limited.admit(ANN)
    error = refused(limited, ANN)
    assert (error.unit, error.retry_after) == ("requests", 10)
    assert "6 requests a minute" in error.message
    assert "10s" in error.message
    clock.now += 10
    limited.admit(ANN)
    refused(limited, ANN)
    clock.now += 3600
    for _ in range(6):
        limited.admit(ANN)
    refused(limited, ANN)


def test_tokens_are_taken_as_they_come_and_a_debt_is_waited_for(limited: Rates, clock: Clock) -> None:
    limited.admit(ANN)
    limited.spend("user ann", 599)
    limited.admit(ANN)
    limited.spend("user ann", 101)
    error = refused(limited, ANN)
    assert error.unit == "tokens"
    assert error.retry_after == pytest.approx(10.1)
    clock.now += error.retry_after
    limited.admit(ANN)


def test_whoever_is_refused_loses_nothing(limited: Rates) -> None:
    both = ANN | {"key k": Limits(requests_per_minute=1)}
    limited.admit(both)
    refused(limited, both)
    assert limited.headers(ANN)["x-ratelimit-remaining-requests"] == "5"


def test_users_and_keys_are_counted_apart(limited: Rates) -> None:
    ben = {"user ben": Limits(requests_per_minute=1), "key user ann": Limits(requests_per_minute=1)}
    limited.admit(ben)
    refused(limited, ben)
    limited.admit(ANN)


def test_without_limits_there_is_nothing_to_say(limited: Rates) -> None:
    for limits in ({}, {"user ann": Limits()}, {"user ann": Limits(0, 0, 0)}):
        for _ in range(100):
            limited.admit(limits)
        assert limited.headers(limits) == {}
    limited.spend("user ann", 1000)


def test_the_headers_tell_of_the_tightest_limit(limited: Rates, clock: Clock) -> None:
    both = ANN | {"key k": Limits(requests_per_minute=60, tokens_per_minute=60)}
    limited.admit(both)
    limited.spend("user ann", 30)
    limited.spend("key k", 30)
    assert limited.headers(both) == {
        "x-ratelimit-limit-requests": "6",
        "x-ratelimit-remaining-requests": "5",
        "x-ratelimit-reset-requests": "10s",
        "x-ratelimit-limit-tokens": "60",
        "x-ratelimit-remaining-tokens": "30",
        "x-ratelimit-reset-tokens": "30s",
    }
    limited.spend("key k", 100)
    assert limited.headers(both)["x-ratelimit-remaining-tokens"] == "0"


def test_a_limit_that_changes_counts_at_once(limited: Rates, clock: Clock) -> None:
    limited.admit(ANN)
    limited.admit({"user ann": Limits(requests_per_minute=1)})
    refused(limited, {"user ann": Limits(requests_per_minute=1)})
    clock.now += 1
    limited.admit({"user ann": Limits(requests_per_minute=60)})


def test_buckets_that_are_full_are_forgotten(limited: Rates, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MANY_BUCKETS", 3)
    for index in range(3):
        limited.admit({f"key {index}": Limits(requests_per_minute=1)})
    clock.now += 60
    limited.admit(ANN)
    assert len(limited._buckets) == 2
    limited.admit({"key 9": Limits(requests_per_minute=1)})
    clock.now += 1
    limited.admit({"key 10": Limits(requests_per_minute=1)})
    refused(limited, {"key 9": Limits(requests_per_minute=1)})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0201, "20ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (59.9996, "1m0s"),
        (360, "6m0s"),
        (3661.25, "1h1m1.25s"),
    ],
)
def test_times_are_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text
