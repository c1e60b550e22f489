from __future__ import annotations

from array import array

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from myna.engine.blocks import BlockPool, extend_digests

SIZE = 4


def ids(*tokens: int) -> array[int]:
    return array("i", tokens)


def digests_of(tokens: array[int], owner: str = "") -> list[bytes]:
    digests: list[bytes] = []
    extend_digests(digests, tokens, SIZE, owner)
    return digests


def fill(pool: BlockPool, tokens: array[int], owner: str = "") -> list[int]:
    """Blocks that hold these tokens and are known for it."""
    blocks = pool.allocate(len(tokens) // SIZE)
    assert blocks is not None
    for index, digest in enumerate(digests_of(tokens, owner)):
        pool.remember(blocks[index], digest, tokens[index * SIZE : (index + 1) * SIZE])
    return blocks


def test_a_prefix_is_found_while_in_use_and_after() -> None:
    pool = BlockPool(8, SIZE)
    tokens = ids(*range(8))
    blocks = fill(pool, tokens)
    assert pool.find(digests_of(tokens), tokens) == blocks
    pool.release(blocks)
    assert pool.num_free == 8
    longer = ids(*range(12))
    assert pool.find(digests_of(longer), longer) == blocks
    other = ids(0, 1, 2, 3, 9, 9, 9, 9)
    assert pool.find(digests_of(other), other) == blocks[:1]


def test_equal_blocks_after_different_beginnings_are_different() -> None:
    pool = BlockPool(8, SIZE)
    fill(pool, ids(1, 1, 1, 1, 5, 5, 5, 5))
    other = ids(2, 2, 2, 2, 5, 5, 5, 5)
    assert pool.find(digests_of(other), other) == []


def test_owners_share_nothing() -> None:
    pool = BlockPool(8, SIZE)
    tokens = ids(*range(8))
    fill(pool, tokens, "ada")
    assert pool.find(digests_of(tokens, "bob"), tokens) == []
    assert len(pool.find(digests_of(tokens, "ada"), tokens)) == 2


def test_a_digest_alone_is_not_trusted() -> None:
    pool = BlockPool(8, SIZE)
    tokens = ids(*range(4))
    fill(pool, tokens)
    assert pool.find(digests_of(tokens), ids(9, 9, 9, 9)) == []


def test_digests_grow_with_the_tokens() -> None:
    tokens = ids(*range(20))
    grown: list[bytes] = []
    for length in range(len(tokens) + 1):
        extend_digests(grown, tokens[:length], SIZE, "o")
        assert len(grown) == length // SIZE
    assert grown == digests_of(tokens, "o")


def test_the_least_recently_used_goes_first_and_tails_before_prefixes() -> None:
    pool = BlockPool(4, SIZE)
    first, second = ids(*range(8)), ids(*range(100, 108))
    blocks = fill(pool, first), fill(pool, second)
    pool.release(blocks[0])
    pool.release(blocks[1])
    hit = pool.find(digests_of(first), first)
    pool.acquire(hit)  # the first is used again
    pool.release(hit)
    pool.allocate(1)
    assert len(pool.find(digests_of(second), second)) == 1
    assert len(pool.find(digests_of(first), first)) == 2
    pool.allocate(2)
    assert pool.find(digests_of(second), second) == []
    assert len(pool.find(digests_of(first), first)) == 1


def test_blank_blocks_are_used_before_anything_is_forgotten() -> None:
    pool = BlockPool(4, SIZE)
    tokens = ids(*range(8))
    pool.release(fill(pool, tokens))
    pool.allocate(2)
    assert len(pool.find(digests_of(tokens), tokens)) == 2


def test_memory_does_not_grow_to_remember_more_than_is_kept() -> None:
    pool = BlockPool(100, SIZE, keep=4)
    for turn in range(50):
        pool.release(fill(pool, ids(*range(turn * 100, turn * 100 + 8))))
    assert pool.num_resident == 4
    newest = ids(*range(4900, 4908))
    assert len(pool.find(digests_of(newest), newest)) == 2


def test_memory_grows_for_what_runs_at_the_same_time() -> None:
    pool = BlockPool(100, SIZE, keep=4)
    blocks = [fill(pool, ids(*range(start, start + 8))) for start in range(0, 400, 8)]
    assert pool.num_resident == 100
    for each in blocks:
        pool.release(each)
    assert pool.num_cached == pool.num_free == 100


def test_what_was_needed_for_a_while_is_given_back() -> None:
    pool = BlockPool(100, SIZE, keep=4)
    first = pool.allocate(20)
    assert first is not None
    pool.release(first)
    pool.release(fill(pool, ids(*range(24))))
    in_use = pool.allocate(2)
    assert len(set(pool.trim())) == 16
    assert pool.trim() == []
    assert pool.num_resident == 4, "two in use, and the two that were used last"
    assert len(pool.find(digests_of(ids(*range(24))), ids(*range(24)))) == 2
    assert in_use is not None
    pool.release(in_use)
    pool.check_idle()


def test_too_many_leaves_everything_as_it_was() -> None:
    pool = BlockPool(4, SIZE)
    assert pool.allocate(5) is None
    assert pool.num_free == 4


def test_a_lost_block_is_noticed() -> None:
    pool = BlockPool(4, SIZE)
    pool.check_idle()
    pool.allocate(1)
    with pytest.raises(AssertionError, match="still referenced"):
        pool.check_idle()


class Storm(RuleBasedStateMachine):
    """Any order of taking, sharing, filling and giving back."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(12, SIZE, keep=5)
        self.holders: list[list[int]] = []

    @rule(target=held, count=st.integers(0, 6))
    def take(self, count: int) -> list[int]:
        blocks = self.pool.allocate(count)
        if blocks is None:
            assert count > self.pool.num_free
            return []
        assert not {block for each in self.holders for block in each} & set(blocks), "a block owned twice"
        self.holders.append(blocks)
        return blocks

    @rule(target=held, tokens=st.lists(st.integers(0, 1), max_size=20), owner=st.sampled_from("ab"))
    def admit(self, tokens: list[int], owner: str) -> list[int]:
        """What the scheduler does: take over what is known, allocate the rest, fill it."""
        prompt = ids(*tokens)
        digests = digests_of(prompt, owner)
        known = self.pool.find(digests, prompt)
        needed = len(digests) - len(known)
        if needed > self.pool.num_free_besides(known):
            return []
        self.pool.acquire(known)
        fresh = self.pool.allocate(needed)
        assert fresh is not None, "num_free_besides promised them"
        blocks = known + fresh
        for index in range(len(known), len(blocks)):
            self.pool.remember(blocks[index], digests[index], prompt[index * SIZE : (index + 1) * SIZE])
        self.holders.append(blocks)
        return blocks

    @rule(blocks=consumes(held))
    def give_back(self, blocks: list[int]) -> None:
        if any(blocks is each for each in self.holders):
            self.holders = [each for each in self.holders if each is not blocks]
            self.pool.release(blocks)

    @invariant()
    def every_block_is_in_one_place(self) -> None:
        used = {block for each in self.holders for block in each}
        assert self.pool.num_free == self.pool.num_blocks - len(used)

    def teardown(self) -> None:
        for blocks in self.holders:
            self.pool.release(blocks)
        self.pool.check_idle()


TestStorm = Storm.TestCase
TestStorm.settings = settings(max_examples=60, stateful_step_count=40)
