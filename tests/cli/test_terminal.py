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


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (PullProgress(5, 0, 0.0, "a source"), "  5 B from a source"),
        (PullProgress(5000, 0, 1000.0, "a source"), "  5 kB from a source, 1 kB/s"),
        (PullProgress(5, 1000, 0.0, "a source"), "  5 B of 1 kB from a source"),
    ],
)
def test_what_is_not_known_is_not_shown(progress: PullProgress, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with PullDisplay("some:model") as display:
        display.update(progress)
    assert capsys.readouterr().err.splitlines()[1] == line
