"""The compiled kernels as Python sees them. Every call releases the GIL.

Arrays are C-contiguous and of exactly the dtype given: another is a TypeError, nothing is converted. Sizes, ids and
parameters are checked before anything is touched: what does not fit is a ValueError with the value.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKED_LAYOUT: int
"""What `Executor.packed` gives out means the same as long as this number does."""

def instruction_sets() -> list[str]:
    """Variants that this processor can run, best first: of avx512-vnni, avx2-vnni, avx2, neon, generic."""

def read_bandwidth(threads: int, megabytes: int, repeats: int) -> float:
    """Median bytes a second that `threads` threads read together from memory."""

def sample_logits(
    logits: NDArray[np.float32],
    rows: NDArray[np.int32],
    temperature: NDArray[np.float32],
    top_k: NDArray[np.int32],
    top_p: NDArray[np.float32],
    min_p: NDArray[np.float32],
    repetition_penalty: NDArray[np.float32],
    presence_penalty: NDArray[np.float32],
    frequency_penalty: NDArray[np.float32],
    seeds: NDArray[np.uint64],
    positions: NDArray[np.int64],
    history: NDArray[np.int32],
    history_starts: NDArray[np.int32],
    prompt_lengths: NDArray[np.int32],
    bias_ids: NDArray[np.int32],
    bias_values: NDArray[np.float32],
    bias_starts: NDArray[np.int32],
    mask: NDArray[np.uint32] | None,
    top_logprobs: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """`Executor.sample` on logits [n, vocab] that something else computed: equal logits, equal choices."""

class Executor:
    """Runs one Program: takes its ops once, its weights tensor by tensor, then any number of batches.

    ``ops`` is `Program.to_ops()`: plain dictionaries. ``instruction_set`` must be one of `instruction_sets()`.
    Raises ValueError naming the op or weight on anything it does not understand: shapes, kinds, names.
    """

    def __init__(self, ops: Sequence[Mapping[str, Any]], threads: int, instruction_set: str) -> None: ...
    def set_weight(self, name: str, data: Any, source_type: str, rows: int, columns: int, target: str) -> None:
        """Pack one weight. ``data`` is a buffer of exactly the bytes that rows x columns of source_type take.

        source_type, in GGUF's layouts: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K,
            IQ4_NL, MXFP4.
        target: w4, w4s, w8, bf16, f32. A vector (norm weight, bias) has one row and target f32.
        Nothing keeps ``data``. Raises ValueError naming the weight when it, or what it rounds to, is not finite.
        """
    def set_packed(self, name: str, data: Any, target: str) -> None:
        """Use what `packed` gave out, where it lies: ``data`` is a buffer, such as a mapped file's, kept to the end.

        Raises ValueError naming the weight unless the buffer has exactly the bytes that ``target`` takes for the
        Program's shape and starts at a multiple of 64. Its values are not checked.
        """
    def packed(self, name: str) -> bytes:
        """A weight that was set, as it is kept: the same on every processor. Raises ValueError for any other name."""
    def seal(self) -> None:
        """Fuse and check that every weight of the Program is there. Raises ValueError naming the first missing."""
    @property
    def weight_bytes(self) -> int:
        """Resident bytes of all packed weights."""
    @property
    def bytes_per_token(self) -> int:
        """Packed weight bytes that one decoded token reads (embedding: one row)."""
    def allocate_cache(self, blocks: int, block_size: int, dtype: str) -> None:
        """Reserve the paged KV cache; pages are touched only when used. dtype: float16, float32.

        block_size is in tokens, a multiple of 16. What an earlier cache held is lost.
        """
    def set_adapter(
        self, slot: int, weights: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32], float]]
    ) -> None:
        """Load a low-rank adapter (LoRA) into a slot: by weight name A [rank, columns], B [rows, rank] and a scale.

        Rows of sequences that use it get (W + scale * B @ A) x for these weights, A x in float32; the weights may be
        any that only products use, so no embeddings and no experts. What the slot held before is replaced. Raises
        ValueError naming the weight when a shape does not fit or a value is not finite; then the slot keeps what it
        held.
        """
    def clear_adapter(self, slot: int) -> None:
        """Free a slot. Raises ValueError when it is empty."""
    def discard_blocks(self, blocks: NDArray[np.int32]) -> None:
        """Forget what cache blocks hold, and give the memory pages that lie wholly inside runs of them back.

        The blocks may be used again at any time. Raises ValueError for an id out of range.
        """
    def cache_block_bytes(self, block_size: int, dtype: str) -> int: ...
    def forward(
        self,
        tokens: NDArray[np.int32],
        sequence_starts: NDArray[np.int32],
        context_lengths: NDArray[np.int32],
        block_tables: NDArray[np.int32],
        logit_rows: NDArray[np.int32],
        adapters: NDArray[np.int32] | None = None,
    ) -> None:
        """One step. tokens: [tokens], flat; sequence s owns tokens[starts[s]:starts[s+1]] (starts: [sequences + 1]),
        whose first position is context_lengths[s] (tokens already in the cache).
        block_tables: [sequences, max_blocks], cache block ids, -1 where unused.
        logit_rows: [rows], indices into tokens whose logits are wanted, ascending.
        adapters: [sequences], the slot of `set_adapter` that each uses, -1 for none.
        The logits stay inside for `sample`, `logits` and `score`. Raises ValueError on any id out of range.
        A row's logits are the same to the last bit whatever else is in the batch and however its tokens came."""
    def logits(self) -> NDArray[np.float32]:
        """Copy of the last forward's logits: [rows, vocab]."""
    def sample(
        self,
        rows: NDArray[np.int32],
        temperature: NDArray[np.float32],
        top_k: NDArray[np.int32],
        top_p: NDArray[np.float32],
        min_p: NDArray[np.float32],
        repetition_penalty: NDArray[np.float32],
        presence_penalty: NDArray[np.float32],
        frequency_penalty: NDArray[np.float32],
        seeds: NDArray[np.uint64],
        positions: NDArray[np.int64],
        history: NDArray[np.int32],
        history_starts: NDArray[np.int32],
        prompt_lengths: NDArray[np.int32],
        bias_ids: NDArray[np.int32],
        bias_values: NDArray[np.float32],
        bias_starts: NDArray[np.int32],
        mask: NDArray[np.uint32] | None,
        top_logprobs: int,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
        """Choose one token for each of ``rows`` (indices into the last forward's logit rows; [n]).

        Flat per-row lists: history[history_starts[i]:history_starts[i+1]] is row i's prompt and output so far (only
        rows with a penalty need one), of which the first prompt_lengths[i] are prompt; bias likewise.
        mask: [n, ceil(vocab/32)], bit set = allowed.
        Returns ids [n], their raw log-probabilities [n], and the top_logprobs likeliest ids and
        log-probabilities [n, top_logprobs] of the unmodified distribution. When top_logprobs < 0, log-probabilities
        are not computed and the three arrays are empty. A row gets id -1 when a logit is not finite, or when mask and
        bias leave no token."""
    def score(
        self, rows: NDArray[np.int32], targets: NDArray[np.int32], top_logprobs: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
        """Raw log-probability of targets[i] at logit row rows[i], and the likeliest rivals, as in `sample`."""
