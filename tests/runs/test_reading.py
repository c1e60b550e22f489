from __future__ import annotations

import pytest

from myna.models.dialects.answer import PLAIN_ANSWER, AnswerSyntax
from myna.runs.log import fold
from myna.runs.reading import Reader
from myna.store.records import TextEvent
from tests.runs.scripted import tokens_of

THINKS = AnswerSyntax(thinks=True)
ANSWER = "<think>\nWell, birds.\n</think>\n\nA myna talks. <think> is a word here."


def read(text: str, size: int, reader: Reader) -> list[TextEvent]:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [event for piece in pieces for event in reader.feed(piece, tokens_of(piece))] + reader.finish()


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_thought_and_answer_are_parts_of_their_own_with_all_their_tokens(size: int) -> None:
    reader = Reader(THINKS)
    thought, said = fold((), "v", read(ANSWER, size, reader))
    assert (thought.type, thought.text) == ("reasoning", "Well, birds.")
    assert (said.type, said.text) == ("text", "A myna talks. <think> is a word here.")
    assert (thought.token_ids or ()) + (said.token_ids or ()) == tokens_of(ANSWER)
    if size == 1:
        assert said.token_ids == tokens_of(said.text), "the next turn feeds them back as they are"
    assert reader.reasoning_seconds is not None


def test_an_answer_without_a_thought_is_text_alone() -> None:
    for syntax in (THINKS, PLAIN_ANSWER):
        reader = Reader(syntax)
        [said] = fold((), "v", read("<thin ice", 1, reader))
        assert (said.type, said.text, said.token_ids) == ("text", "<thin ice", tokens_of("<thin ice"))
        assert reader.reasoning_seconds is None


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_what_is_cut_off_anywhere_goes_on_as_one(cut: int) -> None:
    """As a run that ends in the middle leaves it, without what the reader still held back."""
    first = Reader(THINKS)
    events = [event for letter in ANSWER[:cut] for event in first.feed(letter, tokens_of(letter))]
    events += [TextEvent("", first._held, first._thinking)]
    base = fold((), "v", events)
    parts = fold(base, "v", read(ANSWER[cut:], 1, Reader(THINKS, ANSWER[:cut])))
    assert "".join(part.text for part in parts if part.type == "reasoning") == "Well, birds."
    assert "".join(part.text for part in parts if part.type == "text") == "A myna talks. <think> is a word here."


def test_a_thought_that_never_ends_is_kept() -> None:
    [thought] = fold((), "v", read("<think>\nOn and on", 3, Reader(THINKS)))
    assert (thought.type, thought.text) == ("reasoning", "On and on")
