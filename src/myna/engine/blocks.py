"""Paged KV blocks and the prefix cache over them: pure bookkeeping, no tensor in sight.

The KV cache is cut into blocks of `BLOCK_SIZE` tokens (Kwon et al. 2023, https://arxiv.org/abs/2309.06180). A sequence
owns a list of block numbers; full blocks are remembered by a digest of everything up to their end, so that a later
sequence with the same beginning takes them over instead of computing them again. A block that nobody refers to keeps
its content until it is needed: the least recently used one goes first. Memory is the system's until a block is used
for the first time, so how many blocks are used before older content goes is a bound of its own.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

BLOCK_SIZE = 16
"""Tokens a block. Smaller wastes less on a sequence's last block and finds longer prefixes; larger is less work."""

ID_TYPECODE = "i"
"""Type code of the arrays that hold token ids: 32 bits, as the kernels take them."""


def extend_digests(digests: list[bytes], tokens: array[int], block_size: int, owner: str) -> None:
    """Append the digests of the full blocks of ``tokens`` that ``digests`` does not cover yet.

    Each digest covers its block and, through its parent, all tokens before it. The first is salted with the owner,
    so that nobody can find out by timing what another owner's prompts contain.
    """
    parent = digests[-1] if digests else blake2b(owner.encode(), digest_size=16, person=b"owner").digest()
    for start in range(len(digests) * block_size, len(tokens) - block_size + 1, block_size):
        parent = blake2b(parent + tokens[start : start + block_size].tobytes(), digest_size=16).digest()
        digests.append(parent)


class BlockPool:
    """Which blocks are in use, which are free, and what the free ones still remember.

    A block is *fresh* (free, takes no memory yet), *blank* (free, nothing in it), *in use* (one or more references),
    or *cached* (free, but its content can be taken over). `allocate` prefers blank blocks. While fewer than ``keep``
    blocks take memory it then goes on to fresh ones; afterwards the least recently used cached block comes first.

    Args:
        num_blocks: how many there are.
        block_size: tokens a block.
        keep: how many may take memory for the sake of what they remember; None means all.
    """

    def __init__(self, num_blocks: int, block_size: int = BLOCK_SIZE, *, keep: int | None = None) -> None:
        assert num_blocks > 0
        assert block_size > 0
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.keep = num_blocks if keep is None else keep
        self._references = [0] * num_blocks
        self._fresh = list(range(num_blocks - 1, -1, -1))  # a stack
        self._blank: list[int] = []
        self._cached: OrderedDict[int, None] = OrderedDict()  # least recently used first
        self._digests: list[bytes | None] = [None] * num_blocks
        self._contents = [b""] * num_blocks  # the tokens of a block with a digest
        self._by_digest: dict[bytes, int] = {}

    @property
    def num_free(self) -> int:
        """Blocks that can be allocated: all that are not in use."""
        return len(self._fresh) + len(self._blank) + len(self._cached)

    @property
    def num_resident(self) -> int:
        """Blocks that take memory: all that are not fresh."""
        return self.num_blocks - len(self._fresh)

    @property
    def num_cached(self) -> int:
        """Free blocks whose content can still be taken over."""
        return len(self._cached)

    def find(self, digests: Sequence[bytes], tokens: array[int]) -> list[int]:
        """Blocks that hold the longest known prefix of ``tokens``, whose digests these are; takes no reference.

        The tokens themselves are compared too: a digest alone is never trusted.
        """
        blocks = []
        for index, digest in enumerate(digests):
            block = self._by_digest.get(digest)
            start = index * self.block_size
            if block is None or self._contents[block] != tokens[start : start + self.block_size].tobytes():
                break
            blocks.append(block)
        return blocks

    def num_free_besides(self, blocks: Sequence[int]) -> int:
        """What `num_free` would be once these blocks had a reference more each."""
        return self.num_free - sum(1 for block in blocks if not self._references[block])

    def acquire(self, blocks: Sequence[int]) -> None:
        """Take one reference more on each of these blocks, which `find` has just returned."""
        for block in blocks:
            if not self._references[block]:
                del self._cached[block]
            self._references[block] += 1

    def allocate(self, count: int) -> list[int] | None:
        """So many blocks with one reference each and undefined content, or None if there are not enough."""
        if count > self.num_free:
            return None
        blocks = []
        for _ in range(count):
            if self._blank:
                block = self._blank.pop()
            elif self._fresh and (self.num_resident < self.keep or not self._cached):
                block = self._fresh.pop()
            else:
                block = self._evict()
            self._references[block] = 1
            blocks.append(block)
        return blocks

    def remember(self, block: int, digest: bytes, tokens: array[int]) -> None:
        """Make a block in use, now full and computed, known under its digest. Another block's claim stands."""
        assert self._references[block], "only a block in use can have been computed"
        assert len(tokens) == self.block_size, "only a full block is remembered"
        if self._digests[block] is None and digest not in self._by_digest:
            self._by_digest[digest] = block
            self._digests[block] = digest
            self._contents[block] = tokens.tobytes()

    def release(self, blocks: Sequence[int]) -> None:
        """Give one reference of each back. ``blocks`` are in the order of their sequence.

        The last block of a sequence becomes the least recently used: a prefix is worth more than what follows it.
        """
        for block in reversed(blocks):
            self._references[block] -= 1
            assert self._references[block] >= 0
            if not self._references[block]:
                if self._digests[block] is None:
                    self._blank.append(block)
                else:
                    self._cached[block] = None

    def trim(self) -> list[int]:
        """Make free blocks fresh until no more than ``keep`` take memory; what they held is forgotten.

        The caller gives their memory back to the system. Blank blocks go first, then the least recently used.
        """
        trimmed: list[int] = []
        while self.num_resident - len(trimmed) > self.keep and (self._blank or self._cached):
            trimmed.append(self._blank.pop() if self._blank else self._evict())
        self._fresh += trimmed
        return trimmed

    def check_idle(self) -> None:
        """Assert that every block is free exactly once. Called whenever no sequence exists."""
        assert not any(self._references), "a block is still referenced though no sequence exists"
        free = [*self._fresh, *self._blank, *self._cached]
        assert sorted(free) == list(range(self.num_blocks)), "a block was lost or freed twice"
        assert len(self._by_digest) == len(self._cached), "a digest points to a block that does not hold it"

    def _evict(self) -> int:
        """Forget what the least recently used cached block holds, and return it."""
        block, _ = self._cached.popitem(last=False)
        digest = self._digests[block]
        assert digest is not None
        del self._by_digest[digest]
        self._digests[block] = None
        self._contents[block] = b""
        return block
