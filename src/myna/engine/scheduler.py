"""Which sequences compute how many tokens in the next step: pure decisions, no tensor in sight.

Under one token budget a step, sequences that decode go first (one token each), then prompts in the order of their
admission (as much as the budget leaves: chunked prefill, Agrawal et al. 2024, https://arxiv.org/abs/2403.02310), then
those that wait. When blocks run out, the youngest sequence gives all of its own back and resumes by itself later.

Sequences in the background wait until no live one does, rest where they are while live ones run, but for a share
(`myna.engine.background`), and are the first to make room.
"""

from __future__ import annotations

from typing import NamedTuple

from myna.engine.background import BESIDE_TOKENS, PATIENCE, STEP_TOKENS, Share
from myna.engine.blocks import BlockPool, extend_digests
from myna.engine.model import PAGED, CacheTraits
from myna.engine.sequence import Sequence
from myna.engine.waiting import Queue
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
        max_waiting: how many may wait to be admitted, and as many again in the background.
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
        self._live = Queue()
        self._background = Queue()
        self._share = Share()
        self._favoured: Sequence | None = None  # it was in the background for too long
        self._slots = list(range(self.max_sequences - 1, -1, -1))  # free ones, a stack

    @property
    def num_waiting(self) -> int:
        """Sequences that are not running: never admitted, or preempted."""
        return len(self._live) + len(self._background)

    @property
    def is_idle(self) -> bool:
        """Whether no sequence exists."""
        return not self.running and not self.num_waiting

    @property
    def in_front(self) -> list[Sequence]:
        """Running sequences that take part in every step: the live ones, or all where there are none. Oldest first."""
        return self._running(background=False) or self.running

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait for admission. Owners take turns; each owner's sequences come in order of arrival.

        Raises:
            EngineBusy: too many of its priority wait already.
        """
        assert sequence.num_prompt <= self.limit, "a sequence that could not run even alone"
        queue = self._queue(sequence)
        if queue.num_new >= self.max_waiting:
            raise EngineBusy(f"{queue.num_new} requests are waiting already. Try again in a moment.")
        queue.add(sequence)

    def schedule(self, now: float) -> list[Chunk]:
        """The next step's chunks, each at least one token; empty only when no sequence exists.

        Every chunk's sequence has blocks for all of its tokens. ``now``, in seconds of the clock of
        `Sequence.arrived_at`, is noted as the time of admission.
        """
        self._favour(now)
        chunks = self._compute(self.step_tokens, now, background=False)
        if not chunks:
            return self._compute(min(self.step_tokens, STEP_TOKENS), now, background=True)
        return chunks + self._share_step(chunks, now)

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
        if sequence is self._favoured:
            self._favoured = None
        if sequence in self.running:
            self.running.remove(sequence)
            self._give_back(sequence)
        else:
            self._queue(sequence).remove(sequence)

    def _queue(self, sequence: Sequence) -> Queue:
        return self._background if sequence.background else self._live

    def _running(self, *, background: bool) -> list[Sequence]:
        return [sequence for sequence in self.running if sequence.background == background]

    def _favour(self, now: float) -> None:
        """Make the first sequence of the background a live one if live ones have kept it waiting for too long."""
        live = self._running(background=False)
        if self._favoured is not None or not (live or self._live):
            return
        hidden = self._running(background=True)
        first = hidden[0] if hidden else self._background.first()
        if first is None or now - first.arrived_at < PATIENCE:
            return
        if not hidden:
            self._background.remove(first)
            self._live.put_back(first)
        first.background = False
        self._favoured = first

    def _share_step(self, chunks: list[Chunk], now: float) -> list[Chunk]:
        """What the background may compute beside these chunks of live sequences.

        Nothing while a live prompt is read, whose first token is waited for, unless that goes on for so long that the
        background has saved up a whole step. It comes on top of the budget, which live prompts may have used up.
        """
        if not self._background and len(self._running(background=False)) == len(self.running):
            self._share.clear()
            return []
        self._share.earn(_num_tokens(chunks))
        most = BESIDE_TOKENS
        if any(chunk.num_tokens > 1 + len(chunk.sequence.drafts) for chunk in chunks):
            most = STEP_TOKENS if self._share.is_full else 0
        due = min(self._share.tokens, most)
        more = self._compute(due, now, background=True) if due > 0 else []
        self._share.spend(_num_tokens(more))
        return more

    def _compute(self, budget: int, now: float, *, background: bool) -> list[Chunk]:
        """Chunks of one priority: for who decodes, who is read, who is admitted. Drafts alone may pass the budget."""
        chunks = self._decodes(budget, background=background)
        budget -= _num_tokens(chunks)
        for sequence in self._running(background=background):
            if budget > 0 and sequence.num_uncomputed > 1:
                chunks.append(self._chunk(sequence, budget))
                budget -= chunks[-1].num_tokens
        while budget > 0 and (admitted := self._admit(now, background=background)):
            chunks.append(self._chunk(admitted, budget))
            budget -= chunks[-1].num_tokens
        return chunks

    def _decodes(self, most: int, *, background: bool) -> list[Chunk]:
        """One token and its drafts for each sequence that is one behind, oldest first, for so many of them.

        Others make room if need be, but not for drafts: those are dropped if there is no place for them.
        """
        chunks: list[Chunk] = []
        for sequence in self._running(background=background):
            if len(chunks) == most:
                break
            if sequence.slot < 0 or sequence.num_uncomputed != 1:  # it has just made room itself, or is being read
                continue
            if sequence.drafts and not self._grow(sequence):
                sequence.drafts = []
            while sequence.slot >= 0 and not self._grow(sequence):
                self._make_room()
            if sequence.slot >= 0:
                chunks.append(Chunk(sequence, 1 + len(sequence.drafts)))
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

    def _make_room(self) -> None:
        """Preempt the youngest sequence of the background or, if none runs there, the youngest of all."""
        sequence = next((each for each in reversed(self.running) if each.background), self.running[-1])
        self.running.remove(sequence)
        self._give_back(sequence)
        self._queue(sequence).put_back(sequence)
        self.num_preemptions += 1

    def _chunk(self, sequence: Sequence, budget: int) -> Chunk:
        if not self.cache.chunks_prompts:
            return Chunk(sequence, sequence.num_uncomputed)
        if sequence.is_scoring:
            unscored = max(0, sequence.num_reusable - sequence.num_computed)
            budget = min(budget, unscored + SCORING_TOKENS)
        return Chunk(sequence, min(sequence.num_uncomputed, budget))

    def _admit(self, now: float, *, background: bool) -> Sequence | None:
        """Let the next sequence run, with blocks for all of its tokens; None if it has to wait.

        Nobody overtakes it: a long prompt would starve. What a running sequence is about to compute is waited for and
        taken over, not computed twice. A live sequence waits for no sequence of the background; those make room.
        """
        sequence = (self._background if background else self._live).first()
        if sequence is None or (background and self._live):
            return None
        known = self._find_prefix(sequence)
        if self._is_being_computed(sequence, len(known)):
            return None
        size = self.pool.block_size
        needed = -(-len(sequence.tokens) // size) - len(known)
        while not self._has_room(sequence, needed, known):
            if background or not self._running(background=True):
                return None
            self._make_room()
        self.pool.acquire(known)
        blocks = self.pool.allocate(needed)
        assert blocks is not None
        self._queue(sequence).remove(sequence)
        sequence.blocks = known + blocks
        sequence.num_remembered = len(known)
        sequence.num_computed = len(known) * size
        sequence.slot = self._slots.pop()
        if not sequence.was_admitted:
            sequence.was_admitted = True
            sequence.cached_tokens = sequence.num_computed
            sequence.admitted_at = now
        self.running.append(sequence)
        return sequence

    def _has_room(self, sequence: Sequence, needed: int, known: list[int]) -> bool:
        """Whether there is a slot, and so many blocks and one more for each running sequence that has as much right.

        Without those, admission would lead straight to preemption.
        """
        rivals = self.running if sequence.background else self._running(background=False)
        return len(self.running) < self.max_sequences and needed + len(rivals) <= self.pool.num_free_besides(known)

    def _find_prefix(self, sequence: Sequence) -> list[int]:
        """Blocks with the sequence's beginning. What has to give logits is left to compute, its last token at least."""
        if not self.cache.shares_blocks:
            return []
        size = self.pool.block_size
        extend_digests(sequence.digests, sequence.tokens, size, sequence.salt)
        return self.pool.find(sequence.digests[: sequence.num_reusable // size], sequence.tokens)

    def _is_being_computed(self, sequence: Sequence, index: int) -> bool:
        """Whether a prompt that is being computed begins as this one does, up to the end of its block ``index``."""
        if not self.cache.shares_blocks or index >= sequence.num_reusable // self.pool.block_size:
            return False
        digest = sequence.digests[index]
        return any(
            other.num_uncomputed > 1 and index < len(other.digests) and other.digests[index] == digest
            for other in self.running
            if sequence.background or not other.background
        )

    def _give_back(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks)
        sequence.blocks = []
        sequence.drafts = []
        sequence.num_computed = sequence.num_remembered = sequence.num_tabled = 0
        self._slots.append(sequence.slot)
        sequence.slot = -1


def _num_tokens(chunks: list[Chunk]) -> int:
    return sum(chunk.num_tokens for chunk in chunks)
