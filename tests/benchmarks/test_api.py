"""What the server costs is measured on a real one, and what misses its goal is said to."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from benchmarks import api
from tests.patience import WAIT_SECONDS

FINE = {
    "token_microseconds": 41.0,
    "tokens_a_second": 1400.0,
    "requests_a_second": 2000.0,
    "requests_a_second_with_key": 1900.0,
    "streams_bytes": 60e6,
    "tabs_bytes": 80e6,
    "upload_bytes": 4e6,
    "upload_seconds": 0.5,
    "download_seconds": 0.25,
    "answered": 390.0,
    "refused": 10.0,
    "failed": 0.0,
    "mixed_bytes": 1e6,
}


def test_requests_are_counted_and_refusals_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with api.tiny(threads="1", api_key=api.KEY) as server:
        assert asyncio.run(api.hammer(server.base, 0.3, connections=2)) > 10
        monkeypatch.setattr(api, "KEY", "wrong")
        with pytest.raises(RuntimeError, match="401"):
            asyncio.run(api.hammer(server.base, 0.3, connections=2))


def test_what_grows_is_seen() -> None:
    class Growing:
        size = 0

        def resident(self) -> int:
            self.size += 1000
            return self.size

    with api.Peak(Growing()) as peak:  # type: ignore[arg-type]
        while peak.growth < 5000:
            pass
    assert peak.growth >= 5000


def test_a_form_is_one_that_the_server_takes() -> None:
    head, tail = api.form(3)
    with api.tiny(threads="1") as server:
        headers = {"content-type": "multipart/form-data; boundary=myna"}
        answer = httpx2.post(
            f"{server.base}/v1/files", content=head + b"abc" + tail, headers=headers, timeout=WAIT_SECONDS
        )
        assert answer.json()["bytes"] == 3


@pytest.mark.parametrize("name", api.GOALS)
def test_what_misses_its_goal_is_named(name: str) -> None:
    assert "missed" not in api.report(FINE)
    worse = 1.0 if name.startswith("requests") else 1e12
    report = api.report(FINE | {name: worse})
    assert report.count("**missed**") == 1
    assert next(line for line in report.splitlines() if "missed" in line).startswith(f"| {api.GOALS[name][0]}")


def test_every_goal_has_its_figure() -> None:
    assert set(api.GOALS) < set(FINE)
