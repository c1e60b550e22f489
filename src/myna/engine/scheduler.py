"""Which sequences compute how many tokens in the next step: pure decisions, no tensor in sight.

Under one token budget a step, sequences that decode go first (one token each), then prompts in the order of their
admission (as much as the budget leaves: chunked prefill, Agrawal et al. 2024, https://arxiv.org/abs/2403.02310), then
those that wait. When blocks run out, the youngest sequence gives all of its own back and resumes by itself later.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from myna.engine.blocks import BlockPool, extend_digests
from myna.engine.model import PAGED, CacheTraits
from myna.engine.sequence import Sequence
from myna.errors import EngineBusy

SCORING_TOKENS = 64
"""Most prompt tokens a step of a sequence that wants their log-probabilities: each costs a row of logits."""


class Chunk(NamedTuple):
    """``num_tokens`` of a sequence from its ``num_computed`` on: its tokens, then its drafts, if they are due."""

    sequence: Sequence
    num_tokens: int


class Scheduler:
    """Decides; `advance` and `remove` tell it what came of the decisions.

    Args:
        pool: the KV blocks.
        context: longest sequence in tokens.
        max_sequences: how many may run at once.
        step_tokens: token budget of a step.
        max_waiting: how many may wait to be admitted.
        cache: what may be done with the executor's cache.
    """

    def __init__(
        self,
        pool: BlockPool,
        *,
        context: int,
        max_sequences: int,
        step_tokens: int,
        max_waiting: int,
        cache: CacheTraits = PAGED,
    ) -> None:
        self.pool = pool
        self.cache = cache
        self.limit = min(context, pool.num_blocks * pool.block_size)  # tokens that one sequence can ever compute
        self.max_sequences = min(max_sequences, step_tokens)  # so that every one of them can decode in each step
        self.step_tokens = step_tokens
        self.max_waiting = max_waiting
        self.num_preemptions = 0
        self.running: list[Sequence] = []  # oldest first
        self._preempted: deque[Sequence] = deque()  # oldest first; all of them older than any that waits
        self._waiting: OrderedDict[str, deque[Sequence]] = OrderedDict()  # by owner; the first is next
        self._num_waiting = 0
        self._slots = list(range(self.max_sequences - 1, -1, -1))  # free ones, a stack

    @property
    def num_waiting(self) -> int:
        """Sequences that are not running: never admitted, or preempted."""
        return self._num_waiting + len(self._preempted)

    @property
    def is_idle(self) -> bool:
        """Whether no sequence exists."""
        return not self.running and not self.num_waiting

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait for admission. Owners take turns; each owner's sequences come in order of arrival.

        Raises:
            EngineBusy: too many wait already.
        """
        assert sequence.num_prompt <= self.limit, "a sequence that could not run even alone"
        if self._num_waiting >= self.max_waiting:
            raise EngineBusy(f"{self._num_waiting} requests are waiting already. Try again in a moment.")
        self._waiting.setdefault(sequence.owner, deque()).append(sequence)
        self._num_waiting += 1

    def schedule(self, now: float) -> list[Chunk]:
        """The next step's chunks, each at least one token; empty only when no sequence exists.

        Every chunk's sequence has blocks for all of its tokens. ``now`` is noted as the time of admission.
        """
        chunks = self._decodes()
        budget = self.step_tokens - sum(chunk.num_tokens for chunk in chunks)
        for sequence in self.running:
            if budget > 0 and sequence.num_uncomputed > 1:
                chunks.append(self._chunk(sequence, budget))
                budget -= chunks[-1].num_tokens
        while budget > 0 and (admitted := self._admit(now)):
            chunks.append(self._chunk(admitted, budget))
            budget -= chunks[-1].num_tokens
        return chunks

    def advance(self, chunk: Chunk) -> None:
        """Take a chunk's tokens as computed, its drafts not; filled blocks become known to the prefix cache."""
        sequence, size = chunk.sequence, self.pool.block_size
        sequence.num_computed += min(chunk.num_tokens, sequence.num_uncomputed)
        num_full = sequence.num_computed // size
        if num_full == sequence.num_remembered or not self.cache.shares_blocks:
            return
        extend_digests(sequence.digests, sequence.tokens, size, sequence.salt)
        for index in range(sequence.num_remembered, num_full):
            tokens = sequence.tokens[index * size : (index + 1) * size]
            self.pool.remember(sequence.blocks[index], sequence.digests[index], tokens)
        sequence.num_remembered = num_full

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it is, and free its blocks."""
        if sequence in self.running:
            self.running.remove(sequence)
            self._give_back(sequence)
        elif sequence in self._preempted:
            self._preempted.remove(sequence)
        else:
            self._leave_queue(sequence)

    def _decodes(self) -> list[Chunk]:
        """One token and its drafts for each sequence that is one behind, oldest first.

        The youngest make room if need be, but not for drafts: those are dropped if there is no place for them.
        """
        chunks = []
        index = 0
        while index < len(self.running):
            sequence = self.running[index]
            if sequence.num_uncomputed == 1:
                if sequence.drafts and not self._grow(sequence):
                    sequence.drafts = []
                if not self._grow(sequence):
                    self._preempt_youngest()
                    continue  # the same sequence once more, unless it was the youngest itself
                chunks.append(Chunk(sequence, 1 + len(sequence.drafts)))
            index += 1
        return chunks

    def _grow(self, sequence: Sequence) -> bool:
        """Make sure that the sequence's last token and its drafts have a place in the cache."""
        needed = -(-(len(sequence.tokens) + len(sequence.drafts)) // self.pool.block_size) - len(sequence.blocks)
        if needed <= 0:
            return True
        blocks = self.pool.allocate(needed)
        if blocks is None:
            return False
        sequence.blocks += blocks
        return True

    def _preempt_youngest(self) -> None:
        sequence = self.running.pop()
        self._give_back(sequence)
        self._preempted.appendleft(sequence)
        self.num_preemptions += 1

    def _chunk(self, sequence: Sequence, budget: int) -> Chunk:
        if not self.cache.chunks_prompts:
            return Chunk(sequence, sequence.num_uncomputed)
        if sequence.is_scoring:
            budget = min(budget, SCORING_TOKENS)
        return Chunk(sequence, min(sequence.num_uncomputed, budget))

    def _admit(self, now: float) -> Sequence | None:
        """Let the next sequence run, with blocks for all of its tokens; None if it has to wait.

        Nobody overtakes it: a long prompt would starve. One block a running sequence is left free, so that
        admission does not lead straight to preemption. What a running sequence is about to compute is waited for and
        taken over, not computed twice.
        """
        if len(self.running) >= self.max_sequences or not self.num_waiting:
            return None
        sequence = self._preempted[0] if self._preempted else next(iter(self._waiting.values()))[0]
        known = self._find_prefix(sequence)
        if self._is_being_computed(sequence, len(known)):
            return None
        size = self.pool.block_size
        needed = -(-len(sequence.tokens) // size) - len(known)
        if needed + len(self.running) > self.pool.num_free_besides(known):
            return None
        self.pool.acquire(known)
        blocks = self.pool.allocate(needed)
        assert blocks is not None
        sequence.blocks = known + blocks
        sequence.num_remembered = len(known)
        sequence.num_computed = len(known) * size
        sequence.slot = self._slots.pop()
        if self._preempted:
            self._preempted.popleft()
        else:
            self._leave_queue(sequence)
            sequence.cached_tokens = sequence.num_computed
            sequence.admitted_at = now
        self.running.append(sequence)
        return sequence

    def _find_prefix(self, sequence: Sequence) -> list[int]:
        """Blocks with the sequence's beginning. At least its last token is left to compute: it has to give logits.

        A sequence whose prompt is still to be scored needs the logits of all its tokens.
        """
        if sequence.is_scoring or not self.cache.shares_blocks:
            return []
        size = self.pool.block_size
        extend_digests(sequence.digests, sequence.tokens, size, sequence.salt)
        return self.pool.find(sequence.digests[: (len(sequence.tokens) - 1) // size], sequence.tokens)

    def _is_being_computed(self, sequence: Sequence, index: int) -> bool:
        """Whether a prompt that is being computed begins as this one does, up to the end of its block ``index``."""
        if (
            sequence.is_scoring
            or not self.cache.shares_blocks
            or index >= (len(sequence.tokens) - 1) // self.pool.block_size
        ):
            return False
        digest = sequence.digests[index]
        return any(
            other.num_uncomputed > 1 and index < len(other.digests) and other.digests[index] == digest
            for other in self.running
        )

    def _give_back(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks)
        sequence.blocks = []
        sequence.drafts = []
        sequence.num_computed = sequence.num_remembered = sequence.num_tabled = 0
        self._slots.append(sequence.slot)
        sequence.slot = -1

    def _leave_queue(self, sequence: Sequence) -> None:
        """Take a sequence out of the queue; its owner's next turn comes after all other owners'."""
        queue = self._waiting[sequence.owner]
        queue.remove(sequence)
        self._num_waiting -= 1
        if queue:
            self._waiting.move_to_end(sequence.owner)
        else:
            del self._waiting[sequence.owner]
