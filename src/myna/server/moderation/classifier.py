"""Scores a text by the rules: in one pass over its words, then a few steps for each pattern whose words are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from myna.server.moderation.normalise import END, Normaliser
from myna.server.moderation.rules import CATEGORIES, Rules, Step, read_rules

THRESHOLD = 0.5
"""From here on a category is flagged."""

Span = tuple[int, int]
"""First word and the one behind the last."""

_FAR = 1_000
"""Between the last word of a sentence and the first of the next: no gap is as wide."""


@dataclass(frozen=True, slots=True)
class Scores:
    """0 to 1 by category."""

    by_category: dict[str, float]

    @property
    def flags(self) -> dict[str, bool]:
        """Which categories are flagged."""
        return {name: score >= THRESHOLD for name, score in self.by_category.items()}

    @property
    def flagged(self) -> bool:
        """Whether any is."""
        return any(self.flags.values())


class Classifier:
    """Immutable; may be used by many threads at once."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._exact: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}
        self._phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        words: set[str] = set()
        for name, entries in rules.classes.items():
            for entry in entries:
                first, *rest = entry.split()
                if rest:
                    self._phrases.setdefault(first, []).append((tuple(rest), name))
                elif entry.endswith("*"):
                    self._stems.setdefault(entry[:-1], []).append(name)
                else:
                    self._exact.setdefault(entry, []).append(name)
                words.update(word.removesuffix("*") for word in entry.split())
        self._shortest_stem = min(map(len, self._stems), default=0)
        self._longest_stem = max(map(len, self._stems), default=0)
        self._normaliser = Normaliser(words)

    def classify(self, text: str) -> Scores:
        """The scores of a text in English."""
        spans = self._find(self._normaliser.words(text))
        missed = dict.fromkeys(CATEGORIES, 1.0)
        for rule in self._rules.rules:
            if any(_matches(pattern, spans) for pattern in rule.patterns):
                for category in rule.categories:
                    missed[category] *= 1 - rule.score
        if min(missed.values()) < 1:
            for context in self._rules.contexts:
                if any(_matches(pattern, spans) for pattern in context.patterns):
                    for category in context.categories:
                        missed[category] = 1 - (1 - missed[category]) * context.factor
        return Scores({category: round(1 - product, 4) for category, product in missed.items()})

    def _find(self, words: Sequence[str]) -> dict[str, list[Span]]:
        """Where words of each class stand, in order; sentences are far apart."""
        spans: dict[str, list[Span]] = {}
        at = 0
        for index, word in enumerate(words):
            if word == END:
                at += _FAR
                continue
            for name in self._exact.get(word, ()):
                spans.setdefault(name, []).append((at, at + 1))
            for length in range(self._shortest_stem, min(len(word), self._longest_stem) + 1):
                for name in self._stems.get(word[:length], ()):
                    spans.setdefault(name, []).append((at, at + 1))
            for rest, name in self._phrases.get(word, ()):
                if tuple(words[index + 1 : index + 1 + len(rest)]) == rest:
                    spans.setdefault(name, []).append((at, at + 1 + len(rest)))
            at += 1
        return spans


@lru_cache(maxsize=1)
def default_classifier() -> Classifier:
    """The one whose rules come with the program."""
    return Classifier(read_rules())


def _matches(pattern: tuple[Step, ...], spans: dict[str, list[Span]]) -> bool:
    """Whether a text has words of a pattern's classes, in order and near enough."""
    if any(step.name not in spans for step in pattern if not step.optional):
        return False
    ends: set[int] | None = None  # where what is matched so far may end; None is anywhere
    for step in pattern:
        found = spans.get(step.name, ())
        if ends is None:
            reached = {end for _, end in found}
        else:
            reached = {end for start, end in found if any(start - gap in ends for gap in range(step.gap + 1))}
        if step.optional:
            continue_from = ends if ends is not None else set()
            reached |= continue_from
        if not reached:
            return False
        ends = reached
    return True
