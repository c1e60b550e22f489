from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from myna.engine.blocks import BlockPool
from myna.engine.engine import Engine
from myna.engine.request import GenerationRequest, SamplingParams
from myna.engine.scheduler import SCORING_TOKENS, Scheduler
from myna.engine.sequence import Sequence
from myna.engine.stream import TextStream
from myna.errors import EngineBusy

from .fakes import Answer, drain, fake_engine, request, run

SIZE = 4


def scheduler(blocks: int = 32, **options: int) -> Scheduler:
    values = {"context": 1000, "max_sequences": 8, "step_tokens": 16, "max_waiting": 100} | options
    return Scheduler(BlockPool(blocks, SIZE), **values)


def sequence(name: str, length: int, *, owner: str = "", first: int | None = None, **params: Any) -> Sequence:
    """A prompt of so many tokens; ``first`` makes it share its beginning with others."""
    start = ord(name[0]) * 1000 if first is None else first
    return Sequence(
        GenerationRequest(name, SamplingParams(**params), token_ids=(), owner=owner),
        range(start, start + length),
        seed=0,
        max_tokens=100,
        stream=TextStream(),
        stop_token_ids=frozenset(),
    )


def step(target: Scheduler) -> list[tuple[str, int]]:
    """One step: who computed how much. Those that caught up get a token."""
    chunks = target.schedule(0.0)
    for chunk in chunks:
        target.advance(chunk)
        if not chunk.sequence.num_uncomputed:
            chunk.sequence.tokens.append(1)
    return [(chunk.sequence.id, chunk.num_tokens) for chunk in chunks]


def test_long_prompts_come_in_chunks_and_decoding_goes_first() -> None:
    target = scheduler()
    target.add(sequence("a", 3))
    assert step(target) == [("a", 3)]
    target.add(sequence("b", 40))
    assert step(target) == [("a", 1), ("b", 15)]
    assert step(target) == [("a", 1), ("b", 15)]
    assert step(target) == [("a", 1), ("b", 10)]
    assert step(target) == [("a", 1), ("b", 1)]


def test_one_budget_is_shared_by_several_prompts() -> None:
    target = scheduler()
    for name in "abc":
        target.add(sequence(name, 10))
    assert step(target) == [("a", 10), ("b", 6)]
    assert step(target) == [("a", 1), ("b", 4), ("c", 10)]


def test_the_last_token_of_a_known_prompt_is_computed() -> None:
    target = scheduler()
    first = sequence("a", 16)
    target.add(first)
    step(target)
    target.remove(first)
    again = sequence("b", 16, first=first.tokens[0])
    target.add(again)
    assert step(target) == [("b", 4)], "three of four blocks are known; logits need the last token"
    assert again.cached_tokens == 12


def test_generated_tokens_are_found_by_the_next_turn() -> None:
    target = scheduler()
    first = sequence("a", 6)
    target.add(first)
    for _ in range(8):
        step(target)
    history = list(first.tokens)
    target.remove(first)
    following = sequence("b", 0)
    following.tokens.extend([*history, 5, 6, 7])
    following.num_prompt = len(following.tokens)
    target.add(following)
    step(target)
    assert following.cached_tokens == 12, "13 of the 14 tokens were computed: three full blocks"


def test_a_prompt_to_be_scored_is_computed_whole_and_in_small_chunks() -> None:
    target = scheduler(blocks=100, step_tokens=256)
    first = sequence("a", 100)
    target.add(first)
    step(target)
    target.remove(first)
    scored = sequence("b", 100, first=first.tokens[0], prompt_logprobs=0)
    target.add(scored)
    assert step(target) == [("b", SCORING_TOKENS)]
    assert scored.cached_tokens == 0


def test_what_comes_before_the_tokens_to_be_scored_is_taken_over_or_computed_in_one_go() -> None:
    target = scheduler(blocks=200, step_tokens=256)
    first = sequence("a", 40)
    target.add(first)
    step(target)
    target.remove(first)
    scored = sequence("b", 300, first=first.tokens[0], prompt_logprobs=0, prompt_logprobs_last=150)
    target.add(scored)
    assert step(target) == [("b", 149 + SCORING_TOKENS - 40)]
    assert scored.cached_tokens == 40
    assert scored.is_scoring


def test_the_youngest_makes_room_and_comes_back_by_itself() -> None:
    target = scheduler(blocks=6)
    old, young = sequence("a", 8), sequence("b", 8)
    target.add(old)
    target.add(young)
    step(target)
    assert target.running == [old, young]
    while len(target.running) == 2:
        step(target)
    assert target.running == [old]
    assert target.num_preemptions == 1
    kept = list(young.tokens)
    target.remove(old)
    step(target)
    assert target.running == [young]
    assert list(young.tokens)[: len(kept)] == kept
    target.remove(young)
    target.pool.check_idle()


def test_those_that_made_room_come_back_in_their_old_order() -> None:
    target = scheduler(blocks=9)
    old, middle, young = sequence("a", 8), sequence("b", 8), sequence("c", 4)
    for each in (old, middle, young):
        target.add(each)
    while len(target.running) != 1:
        step(target)
    target.remove(old)
    step(target)
    assert [each.id for each in target.running] == ["b", "c"]


def test_nobody_overtakes_a_prompt_that_waits_for_room() -> None:
    target = scheduler(blocks=8)
    target.add(sequence("a", 16))
    target.add(sequence("b", 24))
    target.add(sequence("c", 2))
    step(target)
    assert [each.id for each in target.running] == ["a"]


def test_owners_take_turns() -> None:
    target = scheduler(max_sequences=1)
    for name, owner in [("a1", "ada"), ("a2", "ada"), ("a3", "ada"), ("b1", "bob"), ("c1", "cy")]:
        target.add(sequence(name, 2, owner=owner))
    order = []
    while not target.is_idle:
        step(target)
        order.append(target.running[0].id)
        target.remove(target.running[0])
    assert order == ["a1", "b1", "c1", "a2", "a3"]


def test_the_queue_is_bounded() -> None:
    target = scheduler(max_waiting=2)
    for name in "ab":
        target.add(sequence(name, 2))
    with pytest.raises(EngineBusy, match="2 requests are waiting"):
        target.add(sequence("c", 2))
    step(target)
    target.add(sequence("c", 2))


def test_everyone_who_runs_decodes_in_every_step() -> None:
    target = scheduler(max_sequences=64, step_tokens=16)
    for index in range(40):
        target.add(sequence(f"{chr(65 + index)}", 1))
    assert len(step(target)) == 16
    assert len(step(target)) == 16


def test_removing_works_in_every_state() -> None:
    target = scheduler(blocks=6, max_sequences=2)
    old, young, waiting = sequence("a", 8), sequence("b", 8), sequence("c", 8)
    for each in (old, young, waiting):
        target.add(each)
    while young.slot >= 0 or not target.num_preemptions:
        step(target)
    target.remove(young)  # preempted
    target.remove(waiting)
    target.remove(old)  # running
    assert target.is_idle
    target.pool.check_idle()


class Storm(RuleBasedStateMachine):
    """Requests and cancellations in any order on a cache that is too small, over a model that notices mistakes."""

    @initialize(blocks=st.integers(4, 12), sequences=st.integers(1, 5), budget=st.sampled_from([5, 16, 64]))
    def start(self, blocks: int, sequences: int, budget: int) -> None:
        self.engine: Engine = fake_engine(blocks=blocks, max_sequences=sequences, step_tokens=budget)
        self.answers: dict[str, Answer] = {}
        self.requests: dict[str, GenerationRequest] = {}
        self.cancelled: set[str] = set()

    @rule(
        shared=st.integers(0, 50),
        tail=st.lists(st.integers(0, 1), min_size=1, max_size=20),
        tokens=st.integers(0, 40),
        seed=st.integers(0, 3),
        owner=st.sampled_from("ab"),
        scored=st.sampled_from([None, 0]),
        background=st.booleans(),
    )
    def ask(
        self, shared: int, tail: list[int], tokens: int, seed: int, owner: str, scored: int | None, background: bool
    ) -> None:
        prompt = [*range(shared), *tail][: self.engine.scheduler.limit]
        name = f"r{len(self.requests)}"
        asked = request(
            name,
            prompt,
            max_tokens=tokens,
            seed=seed,
            owner=owner,
            prompt_logprobs=scored,
            background=background,
        )
        self.engine.add(self.engine.prepare(asked))
        self.requests[name] = asked

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.requests)))
        if not (name in self.answers and self.answers[name].finished):
            self.cancelled.add(name)
        self.engine.cancel(0, name)

    @rule(steps=st.integers(1, 12))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            for event in self.engine.step().get(0, []):
                self.answers.setdefault(event.request_id, Answer()).take(event)

    @invariant()
    def no_block_has_two_owners(self) -> None:
        pool = self.engine.pool
        running = self.engine.scheduler.running
        held = [block for each in running for block in each.blocks]
        assert pool.num_free == pool.num_blocks - len(set(held))
        written = [block for each in running for block in each.blocks[each.num_computed // pool.block_size :]]
        assert len(written) == len(set(written)), "a block that is still written belongs to one sequence"

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        drain(self.engine, self.answers)
        self.engine.pool.check_idle()
        assert self.answers.keys() == self.requests.keys()
        for name, asked in self.requests.items():
            alone = run(fake_engine(blocks=64), asked)[name]
            answer = self.answers[name]
            assert alone.finished is not None
            assert answer.finished is not None
            if name in self.cancelled:
                assert answer.finished.reason == "cancelled"
                assert alone.token_ids[: len(answer.token_ids)] == answer.token_ids
            else:
                room = max(1, self.engine.scheduler.limit - len(asked.token_ids or ()))
                assert answer.token_ids == alone.token_ids[:room]
                assert answer.started is not None
                assert alone.started is not None
                assert answer.started.prompt_logprobs == alone.started.prompt_logprobs


TestStorm = Storm.TestCase
TestStorm.settings = settings(max_examples=60, stateful_step_count=30)
