"""The engine: requests in, events out, one step at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence as Items

import numpy as np

from myna.engine.adapters import Adapter, Adapters
from myna.engine.batch import Batch, BatchBuilder
from myna.engine.blocks import BLOCK_SIZE, BlockPool
from myna.engine.cache_size import cache_blocks, kept_blocks
from myna.engine.counters import Counters
from myna.engine.drafts import Drafter
from myna.engine.embedding import EmbeddingRequest
from myna.engine.failures import failed
from myna.engine.grammar import Grammars
from myna.engine.model import PAGED, Additions, CacheTraits, Model
from myna.engine.options import EngineOptions
from myna.engine.prepare import prepare
from myna.engine.request import (
    Delta,
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    Started,
    TokenLogprob,
)
from myna.engine.scheduler import Chunk, Scheduler
from myna.engine.sequence import Sequence
from myna.engine.stream import Piece
from myna.errors import EngineBusy, EngineError, InvalidParameter, MynaError

EventsByChannel = dict[int, list[Event]]
"""What happened, by the channel that it is for."""

NOT_A_NUMBER = "The model's output is not a number (NaN). Its file is damaged or its weights overflow; fetch it again."

GUESSING_SEQUENCES = 4
"""Sequences that run at once, at most, for drafts to be worth their place: more fill a step by themselves."""

NO_TOKEN = -1

_clock = time.perf_counter


class Engine:
    """One model's sequences. `prepare` may be called from any thread, all else from one alone.

    Args:
        model: weights loaded, KV cache not allocated.
        options: how to run it.
        available_memory: bytes that the KV cache may be sized from.
        cache: what may be done with the executor's cache.

    Raises:
        ModelTooLarge: no room for the KV cache.
    """

    def __init__(self, model: Model, options: EngineOptions, available_memory: int, cache: CacheTraits = PAGED) -> None:
        self.model = model
        self.kv_bytes_per_token = model.executor.cache_block_bytes(BLOCK_SIZE, options.kv_dtype) // BLOCK_SIZE
        block_bytes = self.kv_bytes_per_token * BLOCK_SIZE
        num_blocks = cache_blocks(
            asked=options.kv_cache_bytes,
            available=available_memory,
            context=model.context,
            block_bytes=block_bytes,
            block_size=BLOCK_SIZE,
        )
        keep = kept_blocks(asked=options.kv_cache_bytes, weight_bytes=model.weight_bytes, block_bytes=block_bytes)
        if not cache.shares_blocks:
            keep = 0  # nothing to remember
        model.executor.allocate_cache(num_blocks, BLOCK_SIZE, options.kv_dtype)
        self.pool = BlockPool(num_blocks, keep=keep)
        self.scheduler = Scheduler(
            self.pool,
            context=model.context,
            max_sequences=options.max_sequences,
            step_tokens=options.step_tokens,
            max_waiting=options.max_waiting,
            cache=cache,
        )
        self._guesses = options.speculation and cache.shares_blocks
        self.counters = Counters()
        max_blocks = -(-self.scheduler.limit // BLOCK_SIZE)
        self._batches = BatchBuilder(self.scheduler.max_sequences, max_blocks, model.tokenizer.vocab_size)
        self._grammars = Grammars(model.tokenizer)
        self._adapters = Adapters()
        self._sequences: dict[tuple[int, str], Sequence] = {}
        self._events: EventsByChannel = {}

    def close(self) -> None:
        """End what was started for it; no request can be prepared any more."""
        self._grammars.close()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do; then every block is free."""
        return not self._sequences

    @property
    def limit(self) -> int:
        """Tokens that a sequence can have."""
        return self.scheduler.limit

    @property
    def cache_tokens(self) -> int:
        """Tokens that the KV cache can hold."""
        return self.pool.num_blocks * self.pool.block_size

    def prepare(self, request: GenerationRequest | EmbeddingRequest, channel: int = 0) -> Sequence:
        """See `myna.engine.prepare.prepare`; may be called beside a step, in any thread."""
        if isinstance(request, EmbeddingRequest):
            raise InvalidParameter(
                "This model writes text and makes no embeddings; choose an embedding model, such as all-minilm:l6.",
                param="model",
            )
        return prepare(request, self.model, self._grammars, limit=self.scheduler.limit, channel=channel)

    def add(self, sequence: Sequence) -> None:
        """Queue a prepared sequence.

        Raises:
            EngineBusy: too many wait.
            InvalidParameter: its id is in use on its channel, or there is no such adapter.
        """
        key = sequence.channel, sequence.id
        if key in self._sequences:
            raise InvalidParameter(f"Request id {sequence.id!r} is in use; every request needs its own.", param="id")
        if sequence.adapter_name is not None:
            sequence.adapter = self._adapters.use(sequence.adapter_name)
            sequence.salt = f"{sequence.owner}\0{sequence.adapter.salt}"
        try:
            self.scheduler.add(sequence)
        except EngineBusy:
            self._leave_adapter(sequence)
            raise
        self._sequences[key] = sequence
        self.counters.requests += 1

    def load_adapter(self, name: str, weights: Additions) -> None:
        """Add what an adapter changes, to be asked for by its name.

        Raises:
            Conflict: the name is in use, or too many adapters are loaded.
            InvalidParameter: the executor refuses the weights.
        """
        adapter = self._adapters.reserve(name)
        try:
            self.model.executor.set_adapter(adapter.slot, weights)
        except ValueError as error:
            self._adapters.free(adapter)
            raise InvalidParameter(f"The adapter {name!r} cannot be used: {error}.", param="adapter") from error
        self._adapters.publish(adapter)

    def unload_adapter(self, name: str) -> None:
        """Refuse an adapter from now on; its memory is free once the requests that use it are done.

        Raises:
            NotFound: there is none of that name.
        """
        adapter = self._adapters.retire(name)
        if not adapter.users:
            self._clear_adapter(adapter)

    def cancel(self, channel: int, request_id: str) -> None:
        """End a request; the next step's events have its end. Unknown ids are ignored: it may just have finished."""
        sequence = self._sequences.get((channel, request_id))
        if sequence is not None:
            self.counters.requests_cancelled += 1
            if not sequence.first_token_at:
                self._emit(
                    sequence,
                    Started(
                        sequence.id, sequence.num_prompt, sequence.cached_tokens, sequence.seed, syntax=sequence.syntax
                    ),
                )
            self._emit_piece(sequence, sequence.stream.finish())
            self._finish(sequence, "cancelled")

    def cancel_channel(self, channel: int) -> None:
        """End all requests of a client that is gone."""
        for key in [key for key in self._sequences if key[0] == channel]:
            self.cancel(*key)

    def step(self) -> EventsByChannel:
        """Schedule, run, commit: one forward pass for everything that is due, and what came of it."""
        began = _clock()
        if self._guesses and len(sequences := self.scheduler.in_front) <= GUESSING_SEQUENCES:
            self._guess(sequences)
        chunks = self.scheduler.schedule(began)
        if chunks:
            try:
                batch = self._batches.build(chunks)
                self._run(batch)
                for chunk in chunks:
                    self.scheduler.advance(chunk)
                self._score(batch)
                self._sample(batch)
                self._end_prompts(chunks)
            except (ValueError, RuntimeError, MemoryError) as error:
                self._fail_all(chunks, error)
            self.counters.steps += 1
            self.counters.step_seconds += _clock() - began
        if self.is_idle:
            self.pool.check_idle()
        if self.is_idle or not self.scheduler.cache.shares_blocks:
            self._trim()
        events, self._events = self._events, {}
        return events

    def statistics(self) -> dict[str, float]:
        """Counters and gauges by their Prometheus names, without prefix."""
        return {
            **self.counters.export(),
            "preemptions_total": self.scheduler.num_preemptions,
            "requests_running": len(self.scheduler.running),
            "requests_waiting": self.scheduler.num_waiting,
            "kv_blocks": self.pool.num_blocks,
            "kv_blocks_used": self.pool.num_blocks - self.pool.num_free,
            "kv_blocks_cached": self.pool.num_cached,
        }

    def _run(self, batch: Batch) -> None:
        began = _clock()
        self.model.executor.forward(
            batch.tokens,
            batch.sequence_starts,
            batch.context_lengths,
            batch.block_tables,
            batch.logit_rows,
            *(() if batch.adapters is None else (batch.adapters,)),
        )
        self.counters.forward_seconds += _clock() - began

    def _score(self, batch: Batch) -> None:
        """Give prompt tokens the log-probabilities that were asked for."""
        for sequence, first_row, count in batch.scored:
            assert sequence.prompt_logprobs is not None
            done = sequence.next_scored
            targets = np.array(sequence.tokens[done : done + count], np.int32)
            rows = np.arange(first_row, first_row + count, dtype=np.int32)
            logprobs, top_ids, top_logprobs = self.model.executor.score(
                rows, targets, sequence.params.prompt_logprobs or 0
            )
            if np.isnan(logprobs).any():
                raise ValueError(NOT_A_NUMBER)
            scored = zip(targets.tolist(), logprobs.tolist(), top_ids.tolist(), top_logprobs.tolist(), strict=True)
            sequence.prompt_logprobs.extend(self._logprob(*values) for values in scored)

    def _sample(self, batch: Batch) -> None:
        """Choose the next token of every sequence that caught up with itself."""
        if not batch.sampled:
            return
        ids, logprobs, top_ids, top_logprobs = self.model.executor.sample(
            batch.sampled_rows, **self._batches.sampling(batch.sampled)
        )
        now = _clock()
        chosen, index = ids.tolist(), 0
        for sequence in batch.sampled:
            drafts, sequence.drafts = sequence.drafts, []
            for row, draft in enumerate([*drafts, NO_TOKEN], index):
                token_id = chosen[row]
                if token_id < 0:
                    refused = sequence.matcher and sequence.matcher.failure
                    self._fail(sequence, refused or EngineError(NOT_A_NUMBER))
                    break
                logprob = None
                if (rivals := sequence.params.logprobs) is not None:
                    top = top_ids[row, :rivals].tolist(), top_logprobs[row, :rivals].tolist()
                    logprob = self._logprob(token_id, float(logprobs[row]), *top)
                if not self._append(sequence, token_id, logprob, now) or token_id != draft:
                    break
                self.scheduler.advance(Chunk(sequence, 1))  # the draft is a token now, and computed already
            if drafts:
                self._judge(sequence, len(drafts), row - index)
            index += 1 + len(drafts)

    def _guess(self, sequences: Items[Sequence]) -> None:
        """Give the sequences that are about to yield a token drafts to verify in the same step.

        One with a grammar gets none: each draft would need a mask of its own.
        """
        for sequence in sequences:
            room = sequence.max_tokens - sequence.num_generated - 1
            if sequence.num_uncomputed == 1 and room > 0 and sequence.matcher is None:
                if sequence.drafter is None:
                    sequence.drafter = Drafter()
                sequence.drafts = sequence.drafter.propose(sequence.tokens, room)

    def _judge(self, sequence: Sequence, proposed: int, accepted: int) -> None:
        assert sequence.drafter is not None
        sequence.drafter.judge(proposed, accepted, len(sequence.tokens))
        self.counters.draft_tokens += proposed
        self.counters.accepted_draft_tokens += accepted

    def _append(self, sequence: Sequence, token_id: int, logprob: TokenLogprob | None, now: float) -> bool:
        """Add a token to a sequence and tell its client; whether it goes on, or was ended as this was its last."""
        if not sequence.first_token_at:
            self._start(sequence, now)
        elif not sequence.background:
            self.counters.between_tokens.observe(now - sequence.last_token_at)
        sequence.last_token_at = now
        sequence.tokens.append(token_id)
        self.counters.generated_tokens += 1
        if token_id in sequence.stop_token_ids:
            self._emit_piece(sequence, sequence.stream.finish())
            self._finish(sequence, "stop")
            return False
        stream = sequence.stream
        data = sequence.shown.get(token_id) or self.model.tokenizer.token_bytes(token_id)
        self._emit_piece(sequence, stream.push(token_id, data, logprob))
        is_whole = sequence.matcher is not None and not sequence.matcher.accept(token_id)
        if stream.stopped_by is None and (is_whole or sequence.num_generated >= sequence.max_tokens):
            self._emit_piece(sequence, stream.finish())
            self._finish(sequence, "stop" if is_whole or stream.stopped_by is not None else "length")
            return False
        if stream.stopped_by is not None:
            self._finish(sequence, "stop")
            return False
        return True

    def _end_prompts(self, chunks: Items[Chunk]) -> None:
        """End the sequences that wanted no token beyond their prompt."""
        for sequence, _ in chunks:
            if not sequence.max_tokens and not sequence.num_uncomputed:
                self._start(sequence, _clock())
                self._finish(sequence, "length")

    def _start(self, sequence: Sequence, now: float) -> None:
        sequence.first_token_at = now
        if not sequence.background:  # there is nobody who waits
            self.counters.queue.observe(max(0.0, sequence.admitted_at - sequence.arrived_at))
            self.counters.first_token.observe(now - sequence.arrived_at)
        self.counters.prompt_tokens += sequence.num_prompt
        self.counters.cached_tokens += sequence.cached_tokens
        scored = sequence.prompt_logprobs
        started = Started(
            request_id=sequence.id,
            prompt_tokens=sequence.num_prompt,
            cached_tokens=sequence.cached_tokens,
            seed=sequence.seed,
            prompt_token_ids=None if scored is None else tuple(sequence.tokens[: sequence.num_prompt]),
            prompt_logprobs=None if scored is None else tuple(scored),
            control_ids=() if scored is None else self._control_ids(scored),
            syntax=sequence.syntax,
        )
        self._emit(sequence, started)

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        stop = sequence.stream.stopped_by if sequence.stream.stopped_by in sequence.params.stop else None
        admitted, first, last = sequence.admitted_at, sequence.first_token_at, sequence.last_token_at
        finished = Finished(
            request_id=sequence.id,
            reason=reason,
            completion_tokens=sequence.num_generated,
            stop=stop,
            queue_seconds=max(0.0, admitted - sequence.arrived_at),
            first_token_seconds=max(0.0, first - sequence.arrived_at),
            decode_seconds=max(0.0, last - first),
        )
        self._emit(sequence, finished)
        self._remove(sequence)

    def _fail(self, sequence: Sequence, error: MynaError) -> None:
        self.counters.requests_failed += 1
        self._emit(sequence, failed(sequence.id, error))
        self._remove(sequence)

    def _fail_all(self, chunks: Items[Chunk], error: Exception) -> None:
        """End every sequence of a step that broke; those that were not in it go on."""
        for sequence, _ in chunks:
            if (sequence.channel, sequence.id) in self._sequences:
                self._fail(sequence, EngineError(f"The model could not be run: {type(error).__name__}: {error}"))

    def _trim(self) -> None:
        """Give back the memory of blocks that were needed for a while only."""
        if blocks := self.pool.trim():
            self.model.executor.discard_blocks(np.array(sorted(blocks), np.int32))

    def _remove(self, sequence: Sequence) -> None:
        self.scheduler.remove(sequence)
        self._leave_adapter(sequence)
        del self._sequences[sequence.channel, sequence.id]

    def _leave_adapter(self, sequence: Sequence) -> None:
        if sequence.adapter is not None and self._adapters.leave(sequence.adapter):
            self._clear_adapter(sequence.adapter)

    def _clear_adapter(self, adapter: Adapter) -> None:
        self.model.executor.clear_adapter(adapter.slot)
        self._adapters.free(adapter)

    def _emit(self, sequence: Sequence, event: Event) -> None:
        self._events.setdefault(sequence.channel, []).append(event)

    def _emit_piece(self, sequence: Sequence, piece: Piece | None) -> None:
        if piece is not None:
            self._emit(sequence, Delta(sequence.id, piece.text, piece.token_ids, piece.logprobs))

    def _logprob(self, token_id: int, logprob: float, top_ids: list[int], top_logprobs: list[float]) -> TokenLogprob:
        """A token's log-probability and those of its rivals, with the text that each stands for."""
        rivals = zip(top_ids, top_logprobs, strict=True)
        return TokenLogprob(token_id, self._text(token_id), logprob, tuple((i, self._text(i), p) for i, p in rivals))

    def _control_ids(self, scored: Items[TokenLogprob | None]) -> tuple[int, ...]:
        found = {
            token_id for entry in scored if entry for token_id in (entry.token_id, *(each[0] for each in entry.top))
        }
        return tuple(sorted(filter(self.model.tokenizer.is_control, found)))

    def _text(self, token_id: int) -> bytes:
        """A token's bytes; a control token, which has none, is named instead."""
        tokenizer = self.model.tokenizer
        return (
            tokenizer.token_name(token_id).encode()
            if tokenizer.is_control(token_id)
            else tokenizer.token_bytes(token_id)
        )
