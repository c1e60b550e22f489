"""The engine of an encoder: texts in, vectors out, one forward pass for as many texts as a batch holds.

Texts are never padded, and a text's vector does not depend, to the last bit, on what else is in its batch. Requests
take turns, a text each, so that one of thousands of texts does not hold up the others; those in the background wait
until all others have had theirs, but for a share (`myna.engine.background`).
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Sequence as Items
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from myna.engine.background import STEP_TOKENS, Share
from myna.engine.blocks import BLOCK_SIZE, ID_TYPECODE
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.engine import NOT_A_NUMBER
from myna.engine.failures import failed
from myna.engine.options import EngineOptions
from myna.engine.request import Failed, GenerationRequest
from myna.errors import EngineBusy, EngineError, InvalidParameter, ModelTooLarge, MynaError, PromptTooLong
from myna.models.config import EncoderConfig

CACHE_TYPE = "float32"
"""Keys and values are read as soon as they are written and then forgotten: rounding them would only cost time."""

_clock = time.perf_counter


class Executor(Protocol):
    """The part of `myna._native.Executor` that an encoder needs."""

    def cache_block_bytes(self, block_size: int, dtype: str) -> int: ...

    def allocate_cache(self, blocks: int, block_size: int, dtype: str) -> None: ...

    def forward(
        self,
        tokens: NDArray[np.int32],
        sequence_starts: NDArray[np.int32],
        context_lengths: NDArray[np.int32],
        block_tables: NDArray[np.int32],
        logit_rows: NDArray[np.int32],
    ) -> None: ...

    def logits(self) -> NDArray[np.float32]: ...


class Tokenizer(Protocol):
    """Texts to tokens, with those that begin and end a text."""

    @property
    def vocab_size(self) -> int: ...

    def encode_many(self, texts: Items[str]) -> list[list[int]]: ...

    def encode_pairs(self, first: str, seconds: Items[str]) -> tuple[list[list[int]], int] | None: ...


class Encoder(Protocol):
    """An encoder in memory; `myna.models.loader.LoadedModel` is one when its configuration is an `EncoderConfig`."""

    @property
    def executor(self) -> Executor: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def context(self) -> int: ...


class Job:
    """A request while it lives here: its tokens, and the vectors that are there already."""

    def __init__(self, request: EmbeddingRequest, texts: list[list[int]], width: int, channel: int) -> None:
        self.id = request.id
        self.channel = channel  # which client asked; ids are unique within a channel only
        self.background = request.background
        self.texts = texts
        self.dimensions = request.dimensions
        self.query = request.query
        self.vectors = np.empty((len(texts), width), np.float32)
        self.num_taken = 0  # texts that were put into a batch
        self.num_done = 0


class Embedder:
    """One encoder's requests. `prepare` may be called from any thread, all else from one alone.

    Args:
        model: weights loaded, cache not allocated. A text's keys and values live for one batch.
        config: the model's, for its pooling.
        options: how to run it.
        available_memory: bytes that the cache may be sized from.

    Raises:
        ModelTooLarge: no room for a batch.
    """

    def __init__(self, model: Encoder, config: EncoderConfig, options: EngineOptions, available_memory: int) -> None:
        self.limit = model.context
        self.width = config.width
        self._model = model
        self._config = config
        self._max_jobs = options.max_waiting
        self._blocks = -(-max(options.step_tokens, self.limit) // BLOCK_SIZE)
        block_bytes = model.executor.cache_block_bytes(BLOCK_SIZE, CACHE_TYPE)
        if self._blocks * block_bytes > available_memory:
            raise ModelTooLarge(
                f"A batch of texts needs {self._blocks * block_bytes / 2**20:.1f} MiB, but "
                f"{available_memory / 2**20:.1f} MiB of memory are there. Close other programs or unload a model."
            )
        model.executor.allocate_cache(self._blocks, BLOCK_SIZE, CACHE_TYPE)
        self.cache_tokens = self._blocks * BLOCK_SIZE
        self.kv_bytes_per_token = block_bytes // BLOCK_SIZE
        self._jobs: dict[tuple[int, str], Job] = {}
        self._live: deque[Job] = deque()  # jobs with texts that are in no batch yet
        self._background: deque[Job] = deque()
        self._share = Share()
        self._events: dict[int, list[Embedded | Failed]] = {}
        self._counts = dict.fromkeys(
            ("requests", "requests_cancelled", "requests_failed", "embedded_texts", "embedded_tokens", "steps"), 0
        )
        self._step_seconds = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._jobs and not self._events

    def prepare(self, request: EmbeddingRequest | GenerationRequest, channel: int = 0) -> Job:
        """The job for a request: its texts tokenised and checked. May be called beside a step, in any thread.

        Raises:
            InvalidParameter: not a request for vectors, a token that the model does not have, more dimensions than it
                has, no text, or one without tokens.
            PromptTooLong: a text has more tokens than the model's context.
        """
        if isinstance(request, GenerationRequest):
            raise InvalidParameter(
                "This model makes embeddings (POST /v1/embeddings) and writes no text; choose another one to chat.",
                param="model",
            )
        if request.query is not None:
            return self._prepare_scores(request, request.query, channel)
        if self._config.ranks:
            raise InvalidParameter(
                "This model scores documents (POST /v1/rerank) and makes no embeddings; choose another one.",
                param="model",
            )
        if request.dimensions is not None and not 1 <= request.dimensions <= self.width:
            raise InvalidParameter(
                f"This model's vectors have {self.width} dimensions; {request.dimensions} were asked for.",
                param="dimensions",
            )
        if request.texts is not None:
            texts = self._model.tokenizer.encode_many(request.texts)
        else:
            texts = [list(ids) for ids in request.token_ids or ()]
        if not texts:
            raise InvalidParameter("There is no text to embed.", param="input")
        for index, ids in enumerate(texts):
            self._check(ids, "input" if len(texts) == 1 else f"input[{index}]")
        return Job(request, texts, self.width, channel)

    def add(self, job: Job) -> None:
        """Queue a prepared job.

        Raises:
            EngineBusy: too many of its priority wait.
            InvalidParameter: its id is in use on its channel.
        """
        key = job.channel, job.id
        if key in self._jobs:
            raise InvalidParameter(f"Request id {job.id!r} is in use; every request needs its own.", param="id")
        waiting = sum(each.background == job.background for each in self._jobs.values())
        if waiting >= self._max_jobs:
            raise EngineBusy(f"{waiting} requests are waiting already. Try again in a moment.")
        self._jobs[key] = job
        self._turns(job).append(job)
        self._counts["requests"] += 1

    def cancel(self, channel: int, request_id: str) -> None:
        """End a request. Unknown ids are ignored: it may just have finished."""
        job = self._jobs.get((channel, request_id))
        if job is not None:
            self._counts["requests_cancelled"] += 1
            self._end(job, failed(job.id, EngineError("The request was cancelled.")))

    def cancel_channel(self, channel: int) -> None:
        """End all requests of a client that is gone."""
        for key in [key for key in self._jobs if key[0] == channel]:
            self.cancel(*key)

    def step(self) -> dict[int, list[Embedded | Failed]]:
        """One batch, and what came of it by channel."""
        batch = self._take()
        if batch:
            began = _clock()
            try:
                self._run(batch)
            except (ValueError, RuntimeError, MemoryError) as error:
                broken = EngineError(f"The model could not be run: {type(error).__name__}: {error}")
                for key in {(job.channel, job.id) for job, _ in batch} & self._jobs.keys():
                    self._fail(self._jobs[key], broken)
            self._counts["steps"] += 1
            self._step_seconds += _clock() - began
        events, self._events = self._events, {}
        return events

    def statistics(self) -> dict[str, float]:
        """Counters and gauges by their Prometheus names, without prefix."""
        return {
            **{f"{name}_total": count for name, count in self._counts.items()},
            "step_seconds_total": self._step_seconds,
            "requests_running": len(self._jobs),
            "kv_blocks": self._blocks,
            "kv_blocks_used": 0,  # between batches
        }

    def _prepare_scores(self, request: EmbeddingRequest, query: str, channel: int) -> Job:
        """A job of pairs for a reranker; for other encoders, of query and texts, whose vectors are compared."""
        documents = request.texts or ()
        if not documents:
            raise InvalidParameter("There is no document to score.", param="documents")
        if not self._config.ranks:
            texts = self._model.tokenizer.encode_many((query, *documents))
            for index, ids in enumerate(texts):
                self._check(ids, f"documents[{index - 1}]" if index else "query")
            return Job(request, texts, self.width, channel)
        pairs = self._model.tokenizer.encode_pairs(query, documents)
        if pairs is None:
            raise InvalidParameter(
                "This model's vocabulary does not say how two texts are put together; its tokenizer.json would.",
                param="model",
            )
        texts, second = pairs
        for index, ids in enumerate(texts):
            self._check(ids, f"documents[{index}]", "pair of query and document", "Cut the document into parts")
        if self._config.segments > 1:
            other = self._config.vocab_size
            texts = [[*ids[:second], *(id_ + other for id_ in ids[second:])] for ids in texts]
        return Job(request, texts, 1, channel)

    def _check(self, ids: list[int], param: str, what: str = "text", remedy: str = "Cut it into parts") -> None:
        if not ids:
            raise InvalidParameter("A text to embed has no tokens; it must have at least one.", param=param)
        if len(ids) > self.limit:
            raise PromptTooLong(len(ids), self.limit, param=param, what=what, remedy=remedy)
        vocab_size = self._model.tokenizer.vocab_size
        if min(ids) < 0 or max(ids) >= vocab_size:
            unknown = next(id_ for id_ in ids if not 0 <= id_ < vocab_size)
            raise InvalidParameter(
                f"A text has token {unknown}; this model has the tokens 0 to {vocab_size - 1}.", param=param
            )

    def _turns(self, job: Job) -> deque[Job]:
        return self._background if job.background else self._live

    def _take(self) -> list[tuple[Job, int]]:
        """The texts of the next batch: a job and the text's index. Jobs take turns while there are blocks."""
        batch: list[tuple[Job, int]] = []
        if not self._live:
            self._fill(batch, self._background, self._blocks, STEP_TOKENS)
            return batch
        if not self._background:
            self._share.clear()
        blocks, tokens = self._fill(batch, self._background, self._blocks, self._share.tokens)
        self._share.spend(tokens)
        _, tokens = self._fill(batch, self._live, blocks)
        self._share.earn(tokens)
        return batch

    def _fill(
        self, batch: list[tuple[Job, int]], turns: deque[Job], blocks: int, tokens: int | None = None
    ) -> tuple[int, int]:
        """Add texts while there are blocks for them and, but for the last, so many tokens are not reached.

        Returns the blocks that are left and the tokens that were added.
        """
        added = 0
        while turns and (tokens is None or added < tokens):
            job = turns[0]
            length = len(job.texts[job.num_taken])
            if _num_blocks(length) > blocks:
                break
            blocks -= _num_blocks(length)
            added += length
            batch.append((job, job.num_taken))
            job.num_taken += 1
            turns.popleft()
            if job.num_taken < len(job.texts):
                turns.append(job)
        return blocks, added

    def _run(self, batch: list[tuple[Job, int]]) -> None:
        tokens, starts = array(ID_TYPECODE), [0]
        for job, index in batch:
            tokens.extend(job.texts[index])
            starts.append(len(tokens))
        bounds = np.array(starts, np.int32)
        lengths: NDArray[np.int32] = np.diff(bounds)
        pooling = self._config.pooling
        rows = {"mean": np.arange(len(tokens), dtype=np.int32), "first": bounds[:-1], "last": bounds[1:] - 1}[pooling]
        executor = self._model.executor
        executor.forward(
            np.frombuffer(tokens, np.int32), bounds, np.zeros(len(batch), np.int32), _block_tables(lengths), rows
        )
        vectors = executor.logits()  # [rows, width]
        if pooling == "mean":
            sums: NDArray[np.float32] = np.add.reduceat(vectors, bounds[:-1], axis=0)
            vectors = np.divide(sums, lengths[:, None], dtype=np.float32)
        self._counts["embedded_texts"] += len(batch)
        self._counts["embedded_tokens"] += len(tokens)
        for (job, index), vector in zip(batch, vectors, strict=True):
            job.vectors[index] = vector
            job.num_done += 1
            if job.num_done == len(job.texts):
                self._finish(job)

    def _finish(self, job: Job) -> None:
        vectors = job.vectors[:, : job.dimensions]
        if not np.isfinite(vectors).all():
            self._fail(job, EngineError(NOT_A_NUMBER))
            return
        tokens = tuple(len(ids) for ids in job.texts)
        if self._config.ranks:
            vectors = _logistic(vectors)
        elif job.query is not None:
            units = _unit_length(vectors)
            vectors = (units[1:] * units[0]).sum(-1, keepdims=True)
            tokens = (tokens[0] + tokens[1], *tokens[2:])
        elif self._config.normalised or job.dimensions is not None:
            vectors = _unit_length(vectors)
        self._end(job, Embedded(job.id, tokens, vectors.astype("<f4").tobytes()))

    def _fail(self, job: Job, error: MynaError) -> None:
        self._counts["requests_failed"] += 1
        self._end(job, failed(job.id, error))

    def _end(self, job: Job, event: Embedded | Failed) -> None:
        del self._jobs[job.channel, job.id]
        if job.num_taken < len(job.texts):
            self._turns(job).remove(job)
        self._events.setdefault(job.channel, []).append(event)


def _num_blocks(tokens: int) -> int:
    return -(-tokens // BLOCK_SIZE)


def _logistic(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 0 … 1, without an overflow, and without making small ones equal."""
    result: NDArray[np.float32] = np.exp(np.minimum(scores, 0)) / (1 + np.exp(-np.abs(scores)))
    return result


def _unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each divided by its length; one of nothing but zeros stays."""
    lengths: NDArray[np.float32] = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
    lengths[lengths == 0] = 1
    return vectors / lengths


def _block_tables(lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Blocks one after the other for texts of these lengths: [texts, most blocks], -1 where a text has no more."""
    counts = -(-lengths // BLOCK_SIZE)
    firsts = np.cumsum(counts) - counts
    places = np.arange(counts.max(), dtype=np.int32)[None, :]
    return np.where(places < counts[:, None], firsts[:, None] + places, -1).astype(np.int32)
