"""Comma-separated values, read back as they were, and never run."""

from __future__ import annotations

import csv as reader
import io

import pytest

from myna.server import csv


@pytest.mark.parametrize("text", ['=HYPERLINK("//evil")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_no_text_is_a_formula(text: str) -> None:
    assert csv.line([text]).lstrip('"').startswith("'")


def test_everything_else_is_read_back() -> None:
    cells = ["a,b", 'he said "no"', "两\nlines", None, -3, 1.5]
    (row,) = reader.reader(io.StringIO(csv.line(cells)))
    assert row == ["a,b", 'he said "no"', "两\nlines", "", "-3", "1.5"]
