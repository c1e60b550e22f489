"""Words as they are searched: without case, accents and the writing's other accidents.

Languages that put no spaces between words (Chinese, Japanese, Thai and their like) are cut into pairs of neighbouring
characters, each beginning at every character; the last of a run stands alone. So a word of two characters is one pair,
a single character is the beginning of a pair, and a longer word is several that follow each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LONGEST_WORD = 40
"""Characters of a word that count; what is longer is no word of any language but a key or an encoding."""
MOST_BYTES = 250_000
"""UTF-8 bytes of the different words of one text that are kept: far above any book's chapter, below what PostgreSQL
takes as one document."""

# Marks that sit on letters and that people leave out (accents, Hebrew points, Arabic vowels and the stretching mark),
# soft hyphens and characters of no width.
_DROPPED = re.compile(
    "[\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u200b-\u200f\u2060\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f\ufeff]+"
)
# Han, kana, Bopomofo; Thai, Lao, Burmese, Khmer.
_UNSPACED = (
    "\u3005-\u3007\u3021-\u3029\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1050-\u109f\u1780-\u17d3"
)
# Letters and digits, and the vowel signs of Indic scripts and Tibetan, which are part of a word and no letters.
_SPACED = "\u0900-\u0963\u0966-\u0dff\u0f00-\u0fff"
_RUN = re.compile(f"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])(?:[^\\W_]|[{_SPACED}]))+")
LETTER = f"(?:[^\\W_]|[{_UNSPACED}{_SPACED}])"
"""Pattern of a character that is part of a word."""


def fold(text: str) -> str:
    """A text in which the same word is written in one way only."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", _DROPPED.sub("", unicodedata.normalize("NFKD", text.casefold())))


def runs(folded: str) -> Iterator[tuple[str, bool]]:
    """The words of a folded text in order; true of a run of characters in which words have no spaces between them."""
    for found in _RUN.finditer(folded):
        yield found.group(), found.lastgroup is not None


def pairs(run: str) -> list[str]:
    """What such a run is cut into."""
    return [run[at : at + 2] for at in range(len(run))]


def distinct(text: str) -> list[str]:
    """The different words of a text, as they are kept for searching, in the order in which they come first."""
    found: dict[str, None] = {}
    for run, unspaced in runs(fold(text)):
        if unspaced:
            found.update(dict.fromkeys(pairs(run)))
        else:
            found[run[:LONGEST_WORD]] = None
    words = list(found)
    if sum(map(len, words)) * 4 <= MOST_BYTES:
        return words
    room = MOST_BYTES
    for count, word in enumerate(words):
        room -= len(word.encode())
        if room < 0:
            return words[:count]
    return words
