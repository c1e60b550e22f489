"""Where terms are in a text, and the piece of it that shows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from myna.store.query import Term
from myna.store.words import fold

LENGTH = 220
"""Characters of a snippet, about."""
_BEFORE = 60
_STEP, _OVERLAP = 4_000, 400
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text; ``hit``: one of the terms that were asked for."""

    text: str
    hit: bool


def has_all(text: str, terms: Sequence[Term]) -> bool:
    """Whether a text has every term."""
    folded = fold(text)
    return all(term.pattern.search(folded) for term in terms)


def snippet(text: str, terms: Sequence[Term]) -> list[Segment]:
    """The first part of a text that has some of the terms, with the terms marked; its beginning if none is found."""
    pattern = re.compile("|".join(term.pattern.pattern for term in terms))
    for start in range(0, max(1, len(text)), _STEP):
        piece = text[start : start + _STEP + _OVERLAP]
        if pattern.search(fold(piece)):
            return _around(unicodedata.normalize("NFC", piece), pattern, begins=start == 0)
    return _segments(text[:LENGTH], [], cut_before=False, cut_after=len(text) > LENGTH)


def _around(piece: str, pattern: re.Pattern[str], *, begins: bool) -> list[Segment]:
    hits = _locate(piece, pattern)
    first = hits[0][0] if hits else 0
    start = max(0, first - _BEFORE)
    if start:  # at a word, if one begins soon
        space = piece.find(" ", start, first)
        start = start if space < 0 else space + 1
    end = min(len(piece), start + LENGTH)
    shown = [(max(low, start) - start, min(high, end) - start) for low, high in hits if low < end and high > start]
    return _segments(piece[start:end], shown, cut_before=start > 0 or not begins, cut_after=end < len(piece))


def _locate(piece: str, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    """Where the pattern matches the folded piece, in places of the piece itself."""
    folded, places = [], []
    for place, character in enumerate(piece):
        for part in fold(character):
            folded.append(part)
            places.append(place)
    return [
        (places[found.start()], places[found.end() - 1] + 1)
        for found in pattern.finditer("".join(folded))
        if found.end() > found.start()
    ]


def _segments(piece: str, hits: Sequence[tuple[int, int]], *, cut_before: bool, cut_after: bool) -> list[Segment]:
    cuts: list[tuple[str, bool]] = [("…", False)] if cut_before else []
    at = 0
    for low, high in hits:
        cuts += [(piece[at : max(at, low)], False), (piece[max(at, low) : high], True)]
        at = max(at, high)
    cuts += [(piece[at:], False)] + ([("…", False)] if cut_after else [])
    segments: list[Segment] = []
    for text, hit in cuts:
        text = _SPACE.sub(" ", text)
        if text and segments and segments[-1].hit == hit:
            segments[-1] = Segment(segments[-1].text + text, hit)
        elif text:
            segments.append(Segment(text, hit))
    return segments
