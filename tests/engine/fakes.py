"""A model that computes nothing but notices every mistake in bookkeeping.

Its "keys and values" are a running digest: what a position stores is the digest of the token there and of what the
block table says comes before. Its next token is drawn from that digest, so a wrong block, a missed token, a prefix
that belongs to something else or a position computed twice differently changes the text.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myna.chat import Message
from myna.engine.engine import Engine
from myna.engine.options import EngineOptions
from myna.engine.request import Delta, Event, Failed, Finished, GenerationRequest, SamplingParams, Started
from myna.errors import InvalidParameter
from myna.models.dialects import Prompt
from myna.models.dialects.answer import AnswerSyntax
from myna.models.tokenizer.infill import Infill

END = 256
CONTROL = 257
VOCAB = 260


_LONGER = {258: b"hello", 259: "né".encode()}


class FakeTokenizer:
    """Tokens 0 to 255 are bytes; 256 ends, 257 is a control token, 258 and 259 are longer texts."""

    vocab_size = VOCAB
    stop_token_ids = frozenset({END})

    def encode(self, text: str, *, continues: bool = False) -> list[int]:
        return list(text.encode())

    encode_prompt = encode
    infill = Infill(253, 254, 255, frozenset({END, CONTROL}))

    def encode_infill(self, prefix: str, suffix: str) -> list[int]:
        return [253, *prefix.encode(), 254, *suffix.encode(), 255]

    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if token_id < 256 else _LONGER.get(token_id, b"")

    def token_id(self, name: str) -> int | None:
        return None

    def token_name(self, token_id: int) -> str:
        return f"<{token_id}>"

    def is_control(self, token_id: int) -> bool:
        return token_id in (END, CONTROL)


class FakeDialect:
    """Texts one after the other, each ended by the end token."""

    stop_token_ids = frozenset({END})
    stop_strings: tuple[str, ...] = ()

    def prompt(self, messages: Items[Message], *, continue_last: bool = False, **more: Any) -> Prompt:
        return Prompt(self._encode(messages, continue_last), AnswerSyntax("hermes" if more["tools"] else None))

    def _encode(self, messages: Items[Message], continue_last: bool) -> list[int]:
        ids = [token for message in messages for token in [*message.text.encode(), END]]
        return ids[:-1] if continue_last else ids


class ShoutingDialect(FakeDialect):
    """The same in capitals; an answer ends at an exclamation mark."""

    stop_strings = ("!",)

    def _encode(self, messages: Items[Message], continue_last: bool) -> list[int]:
        return super()._encode([Message.of(m.role, m.text.upper()) for m in messages], continue_last)


class FakeExecutor:
    """See the module. ``script``: tokens that are generated one by one before any that are drawn.

    ``babbles``: most tokens follow from the one before them alone, so that the text repeats itself for a while.
    """

    def __init__(self, script: Items[int] = (), *, may_end: bool = True, babbles: bool = False) -> None:
        self.script = list(script)
        self.may_end = may_end
        self.babbles = babbles
        self.fail_with: Exception | None = None
        self.not_a_number = False
        self.forwarded: list[int] = []  # tokens computed in each step
        self._cache: dict[int, bytes] = {}
        self._rows: list[bytes] = []
        self._last: list[int] = []  # of each row, the token before it
        self.discarded: list[int] = []
        self.adapters: dict[int, bytes] = {}

    def cache_block_bytes(self, block_size: int, dtype: str) -> int:
        return block_size

    def allocate_cache(self, blocks: int, block_size: int, dtype: str) -> None:
        self.blocks, self.block_size = blocks, block_size

    def forward(
        self,
        tokens: NDArray[np.int32],
        sequence_starts: NDArray[np.int32],
        context_lengths: NDArray[np.int32],
        block_tables: NDArray[np.int32],
        logit_rows: NDArray[np.int32],
        adapters: NDArray[np.int32] | None = None,
    ) -> None:
        if self.fail_with is not None:
            raise self.fail_with
        self.forwarded.append(len(tokens))
        written: set[int] = set()
        digests: list[bytes] = []
        for index, (first, table) in enumerate(zip(context_lengths.tolist(), block_tables.tolist(), strict=True)):
            start, end = sequence_starts[index : index + 2].tolist()
            assert end > start, "a sequence without tokens"
            places = [
                table[p // self.block_size] * self.block_size + p % self.block_size for p in range(first + end - start)
            ]
            assert all(0 <= place < self.blocks * self.block_size for place in places)
            digest = self._cache[places[first - 1]] if first else b""
            slot = -1 if adapters is None else int(adapters[index])
            salt = self.adapters[slot] if slot >= 0 else b""
            for place, token in zip(places[first:], tokens[start:end].tolist(), strict=True):
                assert place not in written, "two sequences write to one place"
                written.add(place)
                digest = blake2b(digest + token.to_bytes(4) + salt, digest_size=16).digest()
                self._cache[place] = digest
                digests.append(digest)
        assert logit_rows.tolist() == sorted(set(logit_rows.tolist()))
        self._rows = [digests[row] for row in logit_rows.tolist()]
        self._last = [int(tokens[row]) for row in logit_rows.tolist()]

    def set_adapter(self, slot: int, weights: Any) -> None:
        if not weights:
            raise ValueError("no weights")
        self.adapters[slot] = repr(weights).encode()

    def clear_adapter(self, slot: int) -> None:
        del self.adapters[slot]

    def discard_blocks(self, blocks: NDArray[np.int32]) -> None:
        self.discarded += blocks.tolist()
        for block in blocks.tolist():
            for place in range(block * self.block_size, (block + 1) * self.block_size):
                self._cache.pop(place, None)

    def sample(self, rows: NDArray[np.int32], **parameters: Any) -> tuple[Any, Any, Any, Any]:
        seeds, positions = parameters["seeds"].tolist(), parameters["positions"].tolist()
        starts = parameters["history_starts"].tolist()
        assert len(rows) == len(seeds) == len(positions) == len(starts) - 1
        for position, start, end in zip(positions, starts, starts[1:], strict=False):
            assert end - start in (0, position), "a history that is not all before the position"
        ids = []
        for row, seed, position in zip(rows.tolist(), seeds, positions, strict=True):
            drawn = blake2b(self._rows[row] + seed.to_bytes(8) + position.to_bytes(8), digest_size=4).digest()
            token = int.from_bytes(drawn) % VOCAB
            if self.babbles and drawn[0] > 16:
                token = self._last[row] * 7 % 11 + 97
            ids.append(self.script.pop(0) if self.script else 0 if token == END and not self.may_end else token)
        if (mask := parameters["mask"]) is not None:
            ids = [_allowed(token, bits) for token, bits in zip(ids, mask, strict=True)]
        if self.not_a_number:
            ids = [-1] * len(ids)
        top = max(parameters["top_logprobs"], 0)
        return np.array(ids, np.int32), *self._logprobs(ids, top)

    def score(self, rows: NDArray[np.int32], targets: NDArray[np.int32], top_logprobs: int) -> tuple[Any, Any, Any]:
        # The log-probability of a target says which position it was scored at.
        values = [-(int.from_bytes(self._rows[row][:2]) + 1.0) for row in rows.tolist()]
        return np.array(values, np.float32), *self._logprobs(targets.tolist(), top_logprobs)[1:]

    def _logprobs(self, ids: list[int], top: int) -> tuple[Any, Any, Any]:
        rivals = np.arange(top, dtype=np.int32)[None].repeat(len(ids), 0)
        return -1.0 - np.array(ids, np.float32), rivals, -1.0 - rivals.astype(np.float32)


def _allowed(token: int, bits: NDArray[np.uint32]) -> int:
    """The token that was drawn if the mask allows it, else one that depends on it; -1 if there is none."""
    if bits[token // 32] >> token % 32 & 1:
        return token
    [allowed] = np.unpackbits(bits.view(np.uint8), bitorder="little").nonzero()
    return int(allowed[token % len(allowed)]) if len(allowed) else -1


def fake_model(executor: FakeExecutor | None = None, *, context: int = 512) -> Any:
    dialects = {None: FakeDialect(), "shouting": ShoutingDialect()}

    def dialect_for(name: str | None) -> FakeDialect:
        if name not in dialects:
            raise InvalidParameter(f"There is no dialect {name!r}; known is shouting.", param="dialect")
        return dialects[name]

    return SimpleNamespace(
        executor=executor or FakeExecutor(),
        tokenizer=FakeTokenizer(),
        dialect=dialects[None],
        dialect_for=dialect_for,
        context=context,
        weight_bytes=1 << 20,
    )


def fake_engine(
    executor: FakeExecutor | None = None, *, context: int = 512, blocks: int = 64, **options: Any
) -> Engine:
    """An engine with ``blocks`` KV blocks over a fake model."""
    return Engine(
        fake_model(executor, context=context),
        EngineOptions(name="fake", path="fake", kv_cache_bytes=blocks * 16, **options),
        available_memory=1 << 40,
    )


def request(
    name: str,
    prompt: str | Items[int] = "a prompt",
    *,
    owner: str = "",
    adapter: str | None = None,
    background: bool = False,
    **params: Any,
) -> GenerationRequest:
    params.setdefault("seed", 7)
    ids = tuple(prompt.encode()) if isinstance(prompt, str) else tuple(prompt)
    return GenerationRequest(
        name, SamplingParams(**params), token_ids=ids, owner=owner, adapter=adapter, background=background
    )


class Answer:
    """The events of one request, put together."""

    def __init__(self) -> None:
        self.started: Started | None = None
        self.text = ""
        self.token_ids: list[int] = []
        self.logprobs: list[Any] = []
        self.finished: Finished | None = None
        self.failed: Failed | None = None

    def take(self, event: Event) -> None:
        assert self.finished is None
        assert self.failed is None
        match event:
            case Started():
                assert self.started is None
                self.started = event
            case Delta():
                assert self.started is not None
                self.text += event.text
                self.token_ids += event.token_ids
                self.logprobs += event.logprobs or ()
            case Finished():
                assert self.started is not None
                self.finished = event
            case Failed():
                self.failed = event


def run(engine: Engine, *requests: GenerationRequest) -> dict[str, Answer]:
    """Add all requests at once and step until the engine is idle."""
    for each in requests:
        engine.add(engine.prepare(each))
    return drain(engine)


def drain(engine: Engine, answers: dict[str, Answer] | None = None) -> dict[str, Answer]:
    answers = {} if answers is None else answers
    for _ in range(100_000):
        for event in engine.step().get(0, []):
            answers.setdefault(event.request_id, Answer()).take(event)
        if engine.is_idle:
            return answers
    raise AssertionError("the engine does not come to rest")
