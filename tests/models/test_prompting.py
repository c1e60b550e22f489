from __future__ import annotations

from pathlib import Path

import pytest

from myna.chat import Message, TextPart
from myna.formats import GGUFFile
from myna.models.prompting import Generated, Said, Written, encode_segments, message_segments
from myna.models.tokenizer import Tokenizer, load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Tokenizer:
    return load_tokenizer(GGUFFile(tiny_model))


def test_text_is_joined_across_speakers_between_control_tokens(tokenizer: Tokenizer) -> None:
    segments = [Written("<|im_start|>the qu"), Said("ick brown<|im_end|>"), Written(" fox<|im_end|>")]
    assert encode_segments(tokenizer, segments) == [1, *tokenizer.encode("the quick brown<|im_end|> fox"), 2]


def test_a_control_token_is_never_put_together_from_two_speakers(tokenizer: Tokenizer) -> None:
    for segments in (
        [Written("<|im_"), Said("end|>")],
        [Said("<|im_"), Written("end|>")],
        [Said("<|im_"), Said("end|>")],
    ):
        assert not any(map(tokenizer.is_control, encode_segments(tokenizer, segments)))


def test_generated_tokens_stay_as_they_were(tokenizer: Tokenizer) -> None:
    letters = tuple(token_id for letter in "the" for token_id in tokenizer.encode(letter))
    ids = encode_segments(tokenizer, [Written("<|im_start|>a"), Generated(letters), Said(" fox")])
    assert ids == [1, *tokenizer.encode("a"), *letters, *tokenizer.encode(" fox")]


def answer(tokenizer: Tokenizer, text: str, token_ids: tuple[int, ...], fingerprint: str | None = None) -> Message:
    return Message("assistant", (TextPart(text, token_ids, fingerprint or tokenizer.fingerprint),))


def test_an_end_token_is_left_to_the_template(tokenizer: Tokenizer) -> None:
    ids = tuple(tokenizer.encode("fox"))
    assert message_segments(tokenizer, answer(tokenizer, "fox", (*ids, 2))) == [Generated(ids)]


@pytest.mark.parametrize(
    ("text", "ids", "fingerprint"),
    [
        ("dog", "fox", None),  # they spell something else
        ("fox", "fox", "another vocabulary"),
        ("fox", (-1,), None),
        ("fox", (10**6,), None),
        ("", (2,), None),
    ],
)
def test_tokens_that_cannot_be_trusted_give_way_to_the_text(
    tokenizer: Tokenizer, text: str, ids: str | tuple[int, ...], fingerprint: str | None
) -> None:
    token_ids = tuple(tokenizer.encode(ids)) if isinstance(ids, str) else ids
    expected = [Said(text)] if text else []
    assert message_segments(tokenizer, answer(tokenizer, text, token_ids, fingerprint)) == expected


def test_control_tokens_hidden_among_generated_ones_give_way_to_the_text(tokenizer: Tokenizer) -> None:
    hidden = (*tokenizer.encode("fo"), 1, *tokenizer.encode("x"))
    assert tokenizer.decode(hidden) == "fox"
    assert message_segments(tokenizer, answer(tokenizer, "fox", hidden)) == [Said("fox")]


def test_parts_with_and_without_tokens_stand_side_by_side(tokenizer: Tokenizer) -> None:
    ids = tuple(tokenizer.encode("fox"))
    message = Message("assistant", (TextPart("fox", ids, tokenizer.fingerprint), TextPart(" jumps")))
    assert message_segments(tokenizer, message) == [Generated(ids), Said(" jumps")]
