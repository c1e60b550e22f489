"""Charts are well-formed, hold their points, and keep their labels apart."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from benchmarks.growth import charts
from benchmarks.plot import LINE, Chart, Series
from tests.benchmarks.sample import results

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart(
    title="Speed & more",
    x_title="streams",
    y_title="tokens a second",
    series=[
        Series("first", "#111111", [(1, 100), (8, 400)]),
        Series("second", "#222222", [(1, 90), (8, 399)]),
        Series("third", "#333333", [(1, 80), (8, 398)]),
    ],
    ticks=[1, 8],
)


def circles(chart: Chart) -> list[tuple[float, float]]:
    root = ElementTree.fromstring(chart.svg())
    return [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in root.iter(f"{SVG}circle")]


def test_every_point_is_drawn_and_told() -> None:
    root = ElementTree.fromstring(CHART.svg())
    assert len(circles(CHART)) == 6
    description = root.findtext(f"{SVG}desc")
    assert description is not None
    assert "first: 100 at 1, 400 at 8" in description


def test_larger_is_higher_and_later_is_further_right() -> None:
    (left, low), (right, high) = circles(CHART)[:2]
    assert left < right
    assert low > high


def test_equal_steps_of_a_factor_are_equally_wide() -> None:
    series = [Series("line", "#111111", [(1, 10), (2, 20), (4, 40)])]
    places = circles(Chart("t", "x", "y", series, [1, 2, 4]))
    assert places[1][0] - places[0][0] == pytest.approx(places[2][0] - places[1][0], abs=0.2)
    assert places[0][1] - places[1][1] == pytest.approx(places[1][1] - places[2][1], abs=0.2)


def test_names_at_the_ends_do_not_cover_each_other() -> None:
    root = ElementTree.fromstring(CHART.svg())
    heights = sorted(
        float(each.attrib["y"]) for each in root.iter(f"{SVG}text") if "font-weight" in each.get("style", "")
    )
    assert len(heights) == 3
    assert all(below - above >= LINE - 0.1 for above, below in pairwise(heights))


def test_dark_pages_are_thought_of() -> None:
    assert re.search(r"@media \(prefers-color-scheme: dark\)", CHART.svg())


def test_all_charts_of_a_run_are_drawn() -> None:
    drawn = charts(results()["growth"])
    assert set(drawn) == {"speed-by-streams", "speed-by-context", "speed-by-size"}
    for chart in drawn.values():
        ElementTree.fromstring(chart.svg())
    assert "7B" in drawn["speed-by-size"].svg()
