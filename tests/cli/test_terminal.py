"""Sizes and times for people, and the download where there is no terminal."""

from __future__ import annotations

import pytest

from myna.cli.terminal import PullDisplay, duration, size
from myna.hub import PullProgress


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (98362432, "98.4 MB"),
        (123456789, "123 MB"),
        (5e9, "5.0 GB"),
        (2e12, "2.0 TB"),
    ],
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_without_a_terminal_a_download_is_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with PullDisplay("some:model") as display:
        for done in range(0, 1001, 5):
            display.update(PullProgress(done * 1000, 1_000_000, 50_000.0, "a source"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[0] == "Fetching some:model …"
    assert lines[6] == "  500 kB of 1.0 MB from a source, 50 kB/s, 10 s left"


def test_a_source_that_tells_no_size_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    with PullDisplay("some:model") as display:
        display.update(PullProgress(5, 0, 0.0, "a source"))
    assert "a source" in capsys.readouterr().err
