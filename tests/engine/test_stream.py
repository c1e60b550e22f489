from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.engine.request import TokenLogprob
from myna.engine.stream import TextStream


def feed(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[str], list[int], TextStream]:
    """Texts released after each piece and at the end, and the tokens (numbered by piece) released with them."""
    stream = TextStream(stop)
    texts: list[str] = []
    tokens: list[int] = []
    for index, data in enumerate(pieces):
        piece = stream.push(index, data)
        texts.append(piece.text if piece else "")
        tokens += piece.token_ids if piece else ()
        if stream.stopped_by is not None:
            break
    last = stream.finish()
    texts.append(last.text if last else "")
    return texts, tokens + list(last.token_ids if last else ()), stream


def cut(text: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


def naive_stop(text: str, stop: tuple[str, ...]) -> str:
    """Character by character: the first moment at which the text ends with a stop string."""
    for end in range(len(text) + 1):
        ended = [s for s in stop if text[:end].endswith(s)]
        if ended:
            return text[: end - max(map(len, ended))]
    return text


def test_half_characters_wait_for_the_rest() -> None:
    texts, tokens, _ = feed([b"a", b"\xf0\x9f", b"\x90", b"\xa6b"])
    assert texts == ["a", "", "", "🐦b", ""]
    assert tokens == [0, 1, 2, 3]


def test_invalid_bytes_are_replaced_once_certain() -> None:
    texts, _, _ = feed([b"\xc3", b"x", b"\xe2\x82"])
    assert texts == ["", "�x", "", "�"]


@given(st.binary(max_size=40), st.lists(st.integers(0, 1000), max_size=12))
def test_any_split_of_any_bytes_gives_the_text_of_the_whole(data: bytes, places: list[int]) -> None:
    pieces = cut(data, places)
    texts, tokens, _ = feed(pieces)
    assert "".join(texts) == data.decode("utf-8", "replace")
    assert tokens == list(range(len(pieces)))


def test_a_stop_string_across_tokens_ends_the_text() -> None:
    texts, tokens, stream = feed([b"one ", b"E", b"N", b"D two"], ("END",))
    assert texts == ["one ", "", "", "", ""]
    assert tokens == [0]
    assert stream.stopped_by == "END"


def test_what_cannot_become_a_stop_string_any_more_is_released_at_once() -> None:
    texts, tokens, _ = feed([b"E", b"N", b"x", b"E"], ("END",))
    assert texts == ["", "", "ENx", "", "E"]
    assert tokens == [0, 1, 2, 3]


def test_a_token_cut_by_a_stop_string_is_not_released_but_its_text_is() -> None:
    texts, tokens, stream = feed([b"a", b"b.\n\nUser"], ("\n\n",))
    assert texts == ["a", "b.", ""]
    assert tokens == [0]
    assert stream.stopped_by == "\n\n"


def test_the_stop_string_that_is_complete_first_counts() -> None:
    assert "".join(feed([b"xabcd"], ("abcd", "bc"))[0]) == "xa"
    assert "".join(feed([b"xabcd"], ("d", "bcd"))[0]) == "xa"


@given(
    st.text("ab\né", max_size=30),
    st.lists(st.text("ab\né", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(0, 1000), max_size=20),
)
def test_stop_strings_do_not_depend_on_the_tokens(text: str, stop: list[str], places: list[int]) -> None:
    pieces = cut(text.encode(), places)
    texts, tokens, _ = feed(pieces, tuple(stop))
    expected = naive_stop(text, tuple(stop))
    assert "".join(texts) == expected
    assert tokens == list(range(len(tokens)))
    assert b"".join(pieces[index] for index in tokens).decode("utf-8", "ignore") in expected
    # Nothing is held back that cannot be the beginning of a stop string.
    seen, shown = b"", ""
    for index, piece in enumerate(pieces):
        seen, shown = seen + piece, shown + texts[index] if index < len(texts) - 1 else shown
        held = seen.decode("utf-8", "ignore")[len(shown) :]
        assert not held or any(s.startswith(held) for s in stop) or len(shown) == len(expected)


def test_control_tokens_have_no_text_but_are_counted() -> None:
    texts, tokens, _ = feed([b"a", b"", b"b"])
    assert texts == ["a", "", "b", ""]
    assert tokens == [0, 1, 2]


@pytest.mark.parametrize("stop", [(), ("bcx",)])
def test_log_probabilities_come_with_their_tokens(stop: tuple[str, ...]) -> None:
    stream = TextStream(stop, with_logprobs=True)
    released: list[int] = []
    for index, data in enumerate([b"a", b"b", b"c", b"d"]):
        piece = stream.push(index, data, TokenLogprob(index, data, -1.0))
        if piece:
            assert piece.logprobs is not None
            assert tuple(entry.token_id for entry in piece.logprobs) == piece.token_ids
            released += piece.token_ids
    assert released == [0, 1, 2, 3]
