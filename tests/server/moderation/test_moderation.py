"""The rules of moderation: tricks of spelling, what a sentence's end means, and that the document tells the truth."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from myna.server.moderation import CATEGORIES, default_classifier
from myna.server.moderation.normalise import Normaliser
from myna.server.moderation.rules import read_rules

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "benchmarks"))

import moderation  # noqa: E402  # the script that measures

KNOWN = ("kill", "you", "want", "to", "idiot", "build", "bomb", "bombs", "stupid", "will")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'll k1ll you!", "i will kill you ."),
        ("you 1d10t", "you idiot"),
        ("you st*pid", "you stupid"),
        ("k i l l you", "kill you"),
        ("b.u.i.l.d a b-o-m-b", "build a bomb"),
        ("KIIIILL  you", "kill you"),
        ("\uff4b\u0456ll you", "kill you"),  # full width, and a Cyrillic letter
        ("k\u200bill y\u00f6u", "kill you"),  # a space without width, and a diaeresis
        ("want 2 kill, u know", "want to kill you know"),
        ("don't. Can't", "do not . can not"),
        ("my neighbour's 12 eggs at 3 p.m.", "my neighbour 12 eggs at 3 p m ."),
        ("mp3 and a b c", "mp3 and a b c"),
        ("", ""),
    ],
)
def test_tricks_of_spelling_are_undone_where_that_makes_a_known_word(text: str, words: str) -> None:
    assert " ".join(Normaliser(KNOWN).words(text)) == words


def test_words_of_a_pattern_stand_in_one_sentence() -> None:
    classify = default_classifier().classify
    assert classify("I will kill you").flagged
    assert not classify("You know what I will? Kill the engine. You rest.").flagged


def test_scores_add_up_and_context_takes_away() -> None:
    classify = default_classifier().classify
    one = classify("You are an idiot.").by_category["harassment"]
    both = classify("You are an idiot. Nobody likes you.").by_category["harassment"]
    assert 0.5 <= one < both < 1
    assert not classify("He called me an idiot, and you are an idiot is what a bully says.").flagged


def test_the_files_rules_make_sense() -> None:
    rules = read_rules()
    assert {category for rule in rules.rules for category in rule.categories} == set(CATEGORIES)
    used: set[str] = set()
    for each in (*rules.rules, *rules.contexts):
        for pattern in each.patterns:
            assert not pattern[0].optional, "a pattern begins with a word that must be there"
            assert not pattern[-1].optional, "what may be missing at the end says nothing"
            assert all(rules.classes[step.name] for step in pattern)
            used |= {step.name for step in pattern}
    # A class stands in a pattern by itself, or in an alternative with others, which is a class by the element's text.
    joined = " ".join(name for name in used if name.startswith("="))
    assert [name for name in rules.classes if name not in used and f"${name}" not in joined] == []


@pytest.mark.parametrize("worst", ["i will kill you ", "a ", "a.", "aaaa", "k*", "1l", "x'", "the kill ", "you are "])
def test_the_work_grows_as_the_text_does(worst: str) -> None:
    steps = 0

    def count(*arguments: object) -> None:
        nonlocal steps
        steps += 1

    classify = default_classifier().classify
    counts = []
    for times in (1, 4):
        steps = 0
        sys.setprofile(count)
        try:
            classify(worst * 60 * times)
        finally:
            sys.setprofile(None)
        counts.append(steps)
    assert counts[1] < 5 * counts[0]


@pytest.mark.parametrize("of", ["plain", "held_out"])
def test_the_document_has_the_figures(of: moderation.Set) -> None:
    document = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `?([\w/ -]+?)`? \| (\d+) \| (\S+) \| (\S+) \| (\d+) \| (\S+) \| (\S+) \|$", document, re.M)
    told = {row[0]: row[1:4] if of == "plain" else row[4:7] for row in rows}
    measured = {
        name: (str(number), f"{both / flagged:.0%}" if flagged else "-", f"{both / number:.0%}")
        for name, (number, flagged, both) in moderation.figures(default_classifier(), of).items()
    }
    assert told == measured
