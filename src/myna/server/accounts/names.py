"""Users' names: which characters they have, and which are too like another to be told from it.

A name is what people know each other by, so nobody may take one that only a computer can tell from another's. Three
rules, after Unicode's technical standard 39: nothing that is not seen; no letters of several alphabets in one name,
but for those that are written together; and no name that looks like one that is taken.
"""

# ruff: noqa: RUF001 (letters that look like others are what this is about)
from __future__ import annotations

import unicodedata
from functools import lru_cache

from myna.errors import InvalidParameter

LONGEST = 64
MARKS = " ._-@+'"
MOST_ACCENTS = 3
"""On one letter: more are there to cover what is above and below."""

_UNSEEN = frozenset(
    (0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0)
).union(range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""What counts as a letter or an accent, and is not drawn: fillers, joiners, variation selectors."""

_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO", "IDEOGRAPHIC"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
"""Scripts that people write in one word."""

_LOOKS = str.maketrans(
    "аеіїјорсухѕԁһӏԛԝьвгнкмтАВЕІЇЈКМНОРСТУХЅԌԚԜЗБαβγικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧօոսցհԼՕՏՍ01",
    "aeiijopcyxsdhlqwbbrhkmtABEIIJKMHOPCTYXSGQW3baByikvoptuxwABEZHIKMNOPTYXonughLOSUol",
)
"""What is drawn alike, or nearly: Cyrillic, Greek and Armenian letters and two digits, as the Latin that they mimic."""


def clean_name(name: str) -> str:
    """A user's name as it is shown.

    Raises:
        InvalidParameter: empty, too long, with characters that names have not, or of mixed alphabets.
    """
    clean = " ".join(unicodedata.normalize("NFKC", name).split())
    if not clean or len(clean) > LONGEST:
        raise InvalidParameter(f"A name has 1 to {LONGEST} characters; this has {len(clean)}.", param="name")
    accents = 0
    for character in clean:
        is_accent = unicodedata.category(character) in ("Mn", "Mc")
        is_known = character.isalnum() or is_accent or character in MARKS
        if not is_known or ord(character) in _UNSEEN:
            raise InvalidParameter(
                f"A name has letters, digits, spaces and . _ - @ + ' only; {character!a} is none.", param="name"
            )
        accents = accents + 1 if is_accent else 0
        if accents > MOST_ACCENTS:
            raise InvalidParameter(f"A letter of a name has at most {MOST_ACCENTS} accents.", param="name")
    if not any(character.isalnum() for character in clean):
        raise InvalidParameter("A name has at least one letter or digit.", param="name")
    scripts = {unicodedata.name(character, "?").split()[0] for character in clean if character.isalpha()}
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        raise InvalidParameter(
            f"A name is written in one alphabet; this mixes {', '.join(sorted(scripts)).title()}.", param="name"
        )
    return clean


def name_key(name: str) -> str:
    """What two spellings of one name have in common."""
    return unicodedata.normalize("NFKC", " ".join(unicodedata.normalize("NFKC", name).split()).casefold())


@lru_cache(maxsize=16_384)  # of all users, whenever one is added
def looks(name: str) -> str:
    """What names have in common that look alike: accents, marks and spaces are overlooked at a glance too.

    The accents of European letters, that is: elsewhere they are vowels.
    """
    spelled = unicodedata.normalize("NFKD", name.translate(_LOOKS)).translate(_LOOKS)
    return "".join(c for c in spelled if not "\u0300" <= c <= "\u036f" and c not in MARKS).casefold()
