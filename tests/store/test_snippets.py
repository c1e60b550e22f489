from __future__ import annotations

import pytest

from myna.store.query import parse
from myna.store.snippets import LENGTH, has_all, snippet
from myna.store.words import MOST_BYTES, distinct


def marked(text: str, query: str) -> str:
    return "".join(f"[{segment.text}]" if segment.hit else segment.text for segment in snippet(text, parse(query)))


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("Die Straße ist lang", "strasse", "Die [Straße] ist lang"),
        ("un CAFE\u0301 noir", "café", "un [CAFÉ] noir"),
        ("Donaudampfschiff", "donau", "[Donau]dampfschiff"),
        ("今日は機械学習の話", "機械学習", "今日は[機械学習]の話"),
        ("a\n\n b", "b", "a [b]"),
        ("concatenate the cat", "cat", "concatenate the [cat]"),
        ("to be\nor not", '"be or"', "to [be or] not"),
        ("<img onerror=x>", "onerror", "<img [onerror]=x>"),
        ("nothing here", "absent", "nothing here"),
        ("مُحَمَّد هنا", "محمد", "[مُحَمَّد] هنا"),
    ],
)
def test_hits_are_marked_in_the_text_as_it_was_written(text: str, query: str, shown: str) -> None:
    assert marked(text, query) == shown


def test_a_hit_far_inside_is_shown_with_what_is_around_it() -> None:
    shown = marked("word " * 2_000 + "walnut" + " word" * 2_000, "walnut")
    assert shown.startswith("…word ")
    assert "[walnut]" in shown
    assert shown.endswith("…")
    assert len(shown) < LENGTH + 10


def test_a_phrase_may_have_anything_but_words_between_its_words() -> None:
    assert has_all("one -- (two)", parse('"one two"'))
    assert not has_all("one and two", parse('"one two"'))
    assert not has_all("someone two", parse('"one two"'))


def test_the_words_kept_of_one_text_are_bounded() -> None:
    words = distinct(" ".join(f"{number:09}" for number in range(100_000)))
    assert MOST_BYTES * 0.9 < sum(map(len, words)) <= MOST_BYTES
