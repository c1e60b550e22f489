"""What somebody types into a search box: words, which may be beginnings of words, and phrases in quotes.

There are no operators. Whatever else is typed separates words, so no query is wrong and none means more than it says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from myna.store.words import LETTER, LONGEST_WORD, fold, pairs, runs

MOST_TERMS = 12
"""Words and phrases that count; whoever pastes a page is looking for what its beginning says."""
MOST_WORDS = 24
"""Words in all terms together. A phrase is looked for wherever its first word is: a text that is made for it costs its
length times these."""
MOST_CHARACTERS = 1_000
"""Of a query that count."""
SHORTEST_BEGINNING = 3
"""Letters of a word that is also taken as the beginning of longer ones; of the last, which is being typed, 2."""

_QUOTED = re.compile('["\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d]')
_BETWEEN = f"(?!{LETTER})[\\s\\S]"


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is asked for.

    Attributes:
        words: the words of the index that a text must have, each with whether it may be the beginning of one.
        pattern: where it is in a folded text.
        is_sure: whether a text that has the words surely has the term too.
    """

    words: tuple[tuple[str, bool], ...]
    pattern: re.Pattern[str]
    is_sure: bool


def parse(query: str) -> list[Term]:
    """The different terms of a query, in their order; none if it has neither letter nor digit."""
    # Every second piece is between quotes; a quote that is not closed yet is being typed.
    groups: list[tuple[list[tuple[str, bool]], bool]] = []
    for number, piece in enumerate(_QUOTED.split(query[:MOST_CHARACTERS])):
        found = list(runs(fold(piece)))
        groups += [(found, True)] if number % 2 and found else [([run], False) for run in found]
    terms: dict[object, Term] = {}
    room = MOST_WORDS
    for number, (group, is_phrase) in enumerate(groups, start=1):
        term = _term(group[:room], is_phrase=is_phrase, is_last=number == len(groups))
        terms.setdefault((term.words, term.pattern), term)
        room -= len(group)
        if len(terms) == MOST_TERMS or room <= 0:
            break
    return list(terms.values())


def _term(group: list[tuple[str, bool]], *, is_phrase: bool, is_last: bool) -> Term:
    words: dict[tuple[str, bool], None] = {}
    patterns = []
    for run, unspaced in group:
        if unspaced:
            # The last character alone may be followed by anything.
            cut = pairs(run)[:-1] or [run]
            words.update(dict.fromkeys((word, len(word) == 1) for word in cut))
            patterns.append(re.escape(run))
        else:
            is_beginning = not is_phrase and len(run) >= SHORTEST_BEGINNING - is_last
            words[run[:LONGEST_WORD], is_beginning] = None
            end = "" if is_beginning else f"(?!{LETTER})"
            patterns.append(f"(?<!{LETTER}){re.escape(run)}{end}")
    is_sure = len(group) == 1 and (not group[0][1] or len(group[0][0]) <= 2) and len(group[0][0]) <= LONGEST_WORD
    return Term(tuple(words), re.compile(f"(?:{_BETWEEN}){{0,20}}".join(patterns)), is_sure)
