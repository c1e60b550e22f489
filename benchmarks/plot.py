"""A line chart as SVG: both axes logarithmic, one curve an engine, readable on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 48, 56
LINE = 18
"""Height of a line of text."""

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #3c4043 }
  .title { font-size: 15px; font-weight: 600; fill: #202124 }
  .grid { stroke: #dadce0; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #bdc1c6 }
    .title { fill: #e8eaed }
    .grid { stroke: #3c4043 }
  }
"""


@dataclass(frozen=True)
class Series:
    """A named curve; both coordinates are above zero."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """``ticks`` are where the horizontal axis is labelled; ``labels`` what is written there, if not the number."""

    title: str
    x_title: str
    y_title: str
    series: Sequence[Series]
    ticks: Sequence[float]
    labels: Sequence[str] = ()

    def svg(self) -> str:
        """The drawing as a document of its own. There must be a point."""
        values = [y for series in self.series for _, y in series.points]
        bottom, top = _bounds(min(values), max(values))
        across = _Scale(min(self.ticks), max(self.ticks), LEFT, WIDTH - RIGHT)
        up = _Scale(bottom, top, HEIGHT - BOTTOM, TOP)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(self.title)}: {escape(self.y_title)} by {escape(self.x_title)}</title>",
            f"<desc>{escape(self._description())}</desc>",
            f"<style>{STYLE}</style>",
            f'<text class="title" x="{LEFT}" y="22">{escape(self.title)}</text>',
            f'<text x="{LEFT}" y="{TOP - 9}">{escape(self.y_title)}</text>',
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, self.x_title, "middle"),
        ]
        for tick in _ticks(bottom, top):
            y = up(tick)
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            parts.append(_text(LEFT - 8, y + 4.5, f"{tick:g}", "end"))
        for tick, label in zip(self.ticks, self.labels or [f"{tick:g}" for tick in self.ticks], strict=True):
            parts.append(f'<path class="grid" d="M{across(tick):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
            parts.append(_text(across(tick), HEIGHT - BOTTOM + 20, label, "middle"))
        ends = _apart([up(series.points[-1][1]) for series in self.series])
        for series, end in zip(self.series, ends, strict=True):
            places = [(across(x), up(y)) for x, y in series.points]
            line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            parts.append(f'<path d="M{line}" fill="none" stroke="{series.colour}" stroke-width="2.5"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{series.colour}"/>' for x, y in places]
            last = series.points[-1][1]
            label = _text(WIDTH - RIGHT + 14, end + 4.5, f"{series.name}, {last:.{0 if last >= 100 else 1}f}", "start")
            parts.append(label.replace("<text ", f'<text style="fill:{series.colour};font-weight:600" ', 1))
        return "\n".join([*parts, "</svg>", ""])

    def _description(self) -> str:
        """All points in words, for those who cannot see them."""
        return "; ".join(
            f"{series.name}: " + ", ".join(f"{y:.0f} at {x:g}" for x, y in series.points) for series in self.series
        )


class _Scale:
    """A logarithmic axis: values to places."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = math.log(low), start
        self._step = (end - start) / (math.log(high) - self._low)

    def __call__(self, value: float) -> float:
        return self._start + (math.log(value) - self._low) * self._step


def _bounds(low: float, high: float) -> tuple[float, float]:
    """The nearest of 1, 2, 5, 10, 20, … below and above; never the same."""
    steps = [digit * 10.0**power for power in range(-6, 10) for digit in (1, 2, 5)]
    return max(step for step in steps if step < low), min(step for step in steps if step > high)


def _ticks(low: float, high: float) -> list[float]:
    steps = [digit * 10.0**power for power in range(-6, 10) for digit in (1, 2, 5)]
    return [step for step in steps if low <= step <= high]


def _apart(places: Sequence[float]) -> list[float]:
    """The places of labels, moved down until none covers the one above it."""
    moved = list(places)
    below = -math.inf
    for index in sorted(range(len(moved)), key=moved.__getitem__):
        moved[index] = max(moved[index], below + LINE)
        below = moved[index]
    return moved


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
