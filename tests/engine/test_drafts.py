"""Guesses at the next tokens: what is proposed, and that an engine which guesses writes what one without does."""

from __future__ import annotations

import random
from array import array
from typing import Any

import pytest

from myna.engine.drafts import LONGEST_PAUSE, MOST, NGRAM, REACH, Drafter

from .fakes import Answer, FakeExecutor, fake_engine, request, run


def proposed(text: bytes, most: int = MOST, drafter: Drafter | None = None) -> bytes:
    return bytes((drafter or Drafter()).propose(array("i", list(text)), most))


def test_what_followed_the_last_time_is_proposed() -> None:
    assert proposed(b"the cat sat, the ca") == b"t "
    assert proposed(b"the cat sat, the car, the ca") == b"r,", "the last time, not the first"
    assert proposed(b"the cat sat, a dog") == b""
    assert proposed(b"the cat sat, the ca", most=1) == b"t"
    assert proposed(b"abab"[:NGRAM]) == b""


def test_what_repeats_is_taken_to_go_on_repeating() -> None:
    drafter = Drafter()
    drafter.judge(4, 4, 0)
    assert proposed(b"xabcabc", drafter=drafter) == b"abcabcab"


def test_tokens_are_learned_as_they_come() -> None:
    drafter, text = Drafter(), b"one two three one two one two three"
    for end in range(1, len(text)):
        assert proposed(text[:end], drafter=drafter) == proposed(text[:end])


def test_of_a_long_prompt_the_end_is_looked_through() -> None:
    filler = bytes(97 + index * index % 23 for index in range(REACH))
    assert proposed(b"the cat" + filler + b"the c") == b""
    assert proposed(filler + b"the cat" + b"the c") == b"at"


def test_right_guesses_make_more_and_wrong_ones_pause_for_longer_each_time() -> None:
    drafter, text = Drafter(), b"the cat sat, the ca"
    drafter.judge(2, 2, 10)
    assert len(proposed(text, drafter=drafter)) == 4
    drafter.judge(4, 1, 10)
    assert len(proposed(text, drafter=drafter)) == 2
    length, pauses = 20, []
    for _ in range(8):
        while proposed(b"ab" * (length // 2), drafter=drafter):
            drafter.judge(2, 0, length)
        resumed = next(end for end in range(length, 4000, 2) if proposed(b"ab" * (end // 2), drafter=drafter))
        pauses.append(resumed - length)
        length = resumed
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] <= LONGEST_PAUSE


def requests(seed: int) -> list[Any]:
    """A few requests of every kind that a guess could disturb."""
    draw = random.Random(seed)
    return [
        request(
            f"r{index}",
            "".join(draw.choice("abcdefghijk") for _ in range(draw.randrange(1, 40))),
            seed=draw.randrange(1000),
            max_tokens=draw.choice([1, 2, 17, 60]),
            stop=draw.choice([(), ("ab", "chk"), ("e",)]),
            logprobs=draw.choice([None, 2]),
            ignore_eos=draw.choice([True, False]),
            repetition_penalty=draw.choice([1.0, 1.1]),
        )
        for index in range(draw.choice([1, 3]))
    ]


def outcome(answer: Answer) -> tuple[Any, ...]:
    assert answer.finished is not None
    finished = answer.finished
    return answer.text, answer.token_ids, answer.logprobs, finished.reason, finished.stop, finished.completion_tokens


@pytest.mark.parametrize("blocks", [64, 7])
def test_guessing_changes_no_text(blocks: int) -> None:
    accepted = 0.0
    for seed in range(60):
        asked = requests(seed)
        plain = run(fake_engine(FakeExecutor(babbles=True), blocks=blocks, speculation=False), *asked)
        engine = fake_engine(FakeExecutor(babbles=True), blocks=blocks)
        guessed = run(engine, *asked)
        assert {name: outcome(answer) for name, answer in guessed.items()} == {
            name: outcome(answer) for name, answer in plain.items()
        }
        counted = engine.statistics()
        assert counted["kv_blocks_used"] == 0
        assert counted["accepted_draft_tokens_total"] <= counted["draft_tokens_total"]
        accepted += counted["accepted_draft_tokens_total"]
    assert accepted > 200


def test_right_guesses_save_steps_and_are_counted() -> None:
    asked = request("a", max_tokens=200, ignore_eos=True)
    executor = FakeExecutor(babbles=True)
    engine = fake_engine(executor)
    assert len(run(engine, asked)["a"].token_ids) == 200
    counted = engine.statistics()
    assert counted["steps_total"] == 200 - counted["accepted_draft_tokens_total"] < 120
    assert (
        sum(executor.forwarded) == 200 + 8 - 1 + counted["draft_tokens_total"] - counted["accepted_draft_tokens_total"]
    )


def test_nobody_guesses_in_company_that_fills_the_step_by_itself() -> None:
    engine = fake_engine(FakeExecutor(babbles=True), blocks=400)
    run(engine, *(request(f"r{index}", seed=index, max_tokens=50, ignore_eos=True) for index in range(5)))
    assert engine.statistics()["draft_tokens_total"] == 0


def test_what_was_guessed_wrong_is_not_remembered_as_a_prefix() -> None:
    engine = fake_engine(FakeExecutor(babbles=True))
    first = run(engine, request("a", max_tokens=100, ignore_eos=True))["a"]
    again = (*b"a prompt", *first.token_ids[:60])
    cached = run(engine, request("b", again, max_tokens=40, ignore_eos=True, seed=7))["b"]
    assert cached.started is not None
    assert cached.started.cached_tokens == 64
    assert cached.token_ids == first.token_ids[60:]
