"""A step's chunks as the flat arrays that the kernels take.

What changes rarely (block tables, sampling parameters) is kept in one row a running sequence and copied from there,
so that a step's Python work grows with the number of sequences and not with their length.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myna.engine.adapters import NO_ADAPTER
from myna.engine.blocks import ID_TYPECODE
from myna.engine.scheduler import Chunk
from myna.engine.sequence import Sequence

_SEED_MASK = 2**64 - 1


@dataclass(slots=True)
class Batch:
    """One step: the arguments of `Executor.forward`, and whose logits the rows are.

    Each of ``sampled`` gets its next token from the next of ``sampled_rows``, and from one more for each of its drafts
    the token that follows if the draft is right. Each of ``scored`` is a sequence, its first
    row, and how many of its prompt tokens, from the first without a log-probability on, are predicted by the rows.
    """

    tokens: NDArray[np.int32]  # [tokens]
    sequence_starts: NDArray[np.int32]  # [sequences + 1]
    context_lengths: NDArray[np.int32]  # [sequences]
    block_tables: NDArray[np.int32]  # [sequences, blocks]
    logit_rows: NDArray[np.int32]  # [rows]
    adapters: NDArray[np.int32] | None  # [sequences], slots; None where no sequence has one
    sampled: list[Sequence]
    sampled_rows: NDArray[np.int32]  # [sampled and their drafts]
    scored: list[tuple[Sequence, int, int]]


class BatchBuilder:
    """Makes each step's `Batch` and the arguments for sampling.

    Args:
        max_sequences: bound of `Sequence.slot`.
        max_blocks: most blocks that a sequence can have.
        vocab_size: tokens of the model.
    """

    def __init__(self, max_sequences: int, max_blocks: int, vocab_size: int) -> None:
        self._mask_words = -(-vocab_size // 32)
        self._tables = np.full((max_sequences, max_blocks), -1, np.int32)
        self._table_lengths = [0] * max_sequences
        self._temperature = np.zeros(max_sequences, np.float32)
        self._top_k = np.zeros(max_sequences, np.int32)
        self._top_p = np.zeros(max_sequences, np.float32)
        self._min_p = np.zeros(max_sequences, np.float32)
        self._repetition_penalty = np.zeros(max_sequences, np.float32)
        self._presence_penalty = np.zeros(max_sequences, np.float32)
        self._frequency_penalty = np.zeros(max_sequences, np.float32)
        self._seeds = np.zeros(max_sequences, np.uint64)
        self._changed = True  # a slot's parameters, since the last sampling
        self._slots: list[int] = []  # of the last sampling
        self._parameters: dict[str, Any] = {}
        self._penalised = False

    def build(self, chunks: Items[Chunk]) -> Batch:
        """The arrays for these chunks."""
        tokens, starts, contexts = array(ID_TYPECODE), array(ID_TYPECODE, [0]), array(ID_TYPECODE)
        logit_rows, sampled_rows = array(ID_TYPECODE), array(ID_TYPECODE)
        slots: list[int] = []
        sampled: list[Sequence] = []
        scored: list[tuple[Sequence, int, int]] = []
        width = 1
        for sequence, count in chunks:
            first, end = sequence.num_computed, sequence.num_computed + count
            offset = len(tokens) - first
            if count == 1:
                tokens.append(sequence.tokens[first])
            else:
                tokens.extend(sequence.tokens[first:end])
                tokens.extend(sequence.drafts)
            starts.append(len(tokens))
            contexts.append(first)
            slots.append(sequence.slot)
            if sequence.num_tabled != len(sequence.blocks):
                self._update_table(sequence)
            width = max(width, len(sequence.blocks))
            if sequence.is_scoring:
                # The token at position p is predicted by the logits at p - 1.
                scoring = range(max(first, sequence.next_scored - 1), min(end, sequence.num_prompt - 1))
                if scoring:
                    scored.append((sequence, len(logit_rows), len(scoring)))
                    logit_rows.extend(offset + position for position in scoring)
            last = len(sequence.tokens) - 1
            if end > last and sequence.max_tokens:
                for position in range(last, end):
                    sampled_rows.append(len(logit_rows))
                    logit_rows.append(offset + position)
                sampled.append(sequence)
        return Batch(
            tokens=np.frombuffer(tokens, np.int32),
            sequence_starts=np.frombuffer(starts, np.int32),
            context_lengths=np.frombuffer(contexts, np.int32),
            block_tables=self._tables[slots, :width],
            logit_rows=_int32(logit_rows),
            adapters=_adapters(chunks),
            sampled=sampled,
            sampled_rows=_int32(sampled_rows),
            scored=scored,
        )

    def sampling(self, sequences: Items[Sequence]) -> dict[str, Any]:
        """The keyword arguments of `Executor.sample` for these running sequences and their drafts, all but ``rows``."""
        places = [(sequence, ahead) for sequence in sequences for ahead in range(1 + len(sequence.drafts))]
        slots = [sequence.slot for sequence, _ in places]
        if self._changed or slots != self._slots:
            self._slots, self._changed = slots, False
            self._parameters = self._gather(slots, [sequence for sequence, _ in places])
            self._penalised = any(_needs_history(sequence) for sequence in sequences)
        positions = np.array([len(sequence.tokens) + ahead for sequence, ahead in places], np.int64)
        history = self._history(places) if self._penalised else {}
        return {**self._parameters, "positions": positions, "mask": self._mask(places), **history}

    def _update_table(self, sequence: Sequence) -> None:
        """Copy a sequence's new blocks into its row; a row that changes hands gets the new one's parameters too."""
        slot, known, length = sequence.slot, sequence.num_tabled, len(sequence.blocks)
        row = self._tables[slot]
        row[known:length] = sequence.blocks[known:]
        if not known:
            row[length : self._table_lengths[slot]] = -1
            params = sequence.params
            self._temperature[slot] = params.temperature
            self._top_k[slot] = params.top_k
            self._top_p[slot] = params.top_p
            self._min_p[slot] = params.min_p
            self._repetition_penalty[slot] = params.repetition_penalty
            self._presence_penalty[slot] = params.presence_penalty
            self._frequency_penalty[slot] = params.frequency_penalty
            self._seeds[slot] = sequence.seed & _SEED_MASK
            self._changed = True
        self._table_lengths[slot] = sequence.num_tabled = length

    def _gather(self, slots: list[int], sequences: Items[Sequence]) -> dict[str, Any]:
        bias_ids, bias_values, bias_starts = array(ID_TYPECODE), array("f"), array(ID_TYPECODE, [0])
        for sequence in sequences:
            bias_ids.extend(sequence.params.logit_bias.keys())
            bias_values.extend(sequence.params.logit_bias.values())
            bias_starts.append(len(bias_ids))
        asked = [sequence.params.logprobs for sequence in sequences]
        no_history = np.zeros(len(slots) + 1, np.int32)
        return {
            "temperature": self._temperature[slots],
            "top_k": self._top_k[slots],
            "top_p": self._top_p[slots],
            "min_p": self._min_p[slots],
            "repetition_penalty": self._repetition_penalty[slots],
            "presence_penalty": self._presence_penalty[slots],
            "frequency_penalty": self._frequency_penalty[slots],
            "seeds": self._seeds[slots],
            "history": np.zeros(0, np.int32),
            "history_starts": no_history,
            "prompt_lengths": no_history[1:],
            "bias_ids": _int32(bias_ids),
            "bias_values": np.array(bias_values, np.float32),
            "bias_starts": _int32(bias_starts),
            "top_logprobs": max((-1 if count is None else count for count in asked), default=-1),
        }

    def _mask(self, places: Items[tuple[Sequence, int]]) -> NDArray[np.uint32] | None:
        """Which tokens may come next: [places, words], a bit a token; None where no sequence has a grammar."""
        mask = None
        for row, (sequence, ahead) in enumerate(places):
            if sequence.matcher is not None:
                assert not ahead, "a draft under a grammar"
                if mask is None:
                    mask = np.full((len(places), self._mask_words), 0xFFFFFFFF, np.uint32)
                sequence.matcher.fill(mask[row])
        return mask

    def _history(self, places: Items[tuple[Sequence, int]]) -> dict[str, Any]:
        """Prompt and output of the sequences with a penalty, up to each place, one after the other."""
        history, starts, prompt_lengths = array(ID_TYPECODE), array(ID_TYPECODE, [0]), array(ID_TYPECODE)
        for sequence, ahead in places:
            penalised = _needs_history(sequence)
            if penalised:
                history.extend(sequence.tokens)
                history.extend(sequence.drafts[:ahead])
            starts.append(len(history))
            prompt_lengths.append(sequence.num_prompt if penalised else 0)
        return {
            "history": _int32(history),
            "history_starts": _int32(starts),
            "prompt_lengths": _int32(prompt_lengths),
        }


def _adapters(chunks: Items[Chunk]) -> NDArray[np.int32] | None:
    slots = [NO_ADAPTER if chunk.sequence.adapter is None else chunk.sequence.adapter.slot for chunk in chunks]
    return None if max(slots) == NO_ADAPTER else np.array(slots, np.int32)


def _needs_history(sequence: Sequence) -> bool:
    params = sequence.params
    return bool(params.repetition_penalty != 1 or params.presence_penalty or params.frequency_penalty)


def _int32(values: array[int]) -> NDArray[np.int32]:
    """The same memory as an array; an empty one has no memory to share."""
    return np.frombuffer(values, np.int32) if values else np.zeros(0, np.int32)
