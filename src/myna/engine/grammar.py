"""Answers that must have a form: which tokens a grammar allows next, by llguidance (https://github.com/guidance-ai/llguidance).

A grammar is compiled beside the step, and each mask is computed while the model runs. Where the next mask does not come
in time, the answer fails rather than the step of all others waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from myna.engine.grammar_source import GrammarTrial, new_matcher, reason_of, refusal
from myna.engine.model import Tokenizer
from myna.engine.request import Grammar
from myna.errors import InvalidParameter

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

Result = TypeVar("Result")

MASK_SECONDS = 1.0
"""How long a step waits for a mask; most take 20 to 100 µs."""

MAX_DIGITS = 20
"""Digits of a number of JSON in a row: what a 64-bit integer has. Some models never end 0.3333."""

CACHED_GRAMMARS = 16

QUOTE, ESCAPE = ord('"'), ord("\\")
DIGITS = frozenset(b"0123456789")


class Grammars:
    """Compiles grammars for one tokenizer. `matcher` may be called from any thread."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._trial = GrammarTrial()
        self._vocabulary: Vocabulary | None = None
        self._compiled: OrderedDict[tuple[str, str], LLMatcher] = OrderedDict()  # at their beginning
        self._lock = Lock()
        self._threads = Threads()

    def matcher(self, grammar: Grammar, stop_token_ids: frozenset[int]) -> Matcher:
        """A matcher at the beginning of an answer that ends with any of the stop tokens.

        Raises:
            InvalidParameter: the grammar is malformed, uses what is not supported, is too large, or no text fulfils it.
        """
        key = grammar.kind, grammar.source
        with self._lock:
            compiled = self._compiled.get(key)
            if compiled is not None:
                self._compiled.move_to_end(key)
                compiled = compiled.deep_copy()
        if compiled is None:
            compiled = self._compile(grammar)
        return Matcher(grammar, compiled, self._known_vocabulary(), stop_token_ids, self._threads)

    def close(self) -> None:
        """End what was started; no matcher can be used any more."""
        self._threads.replace()
        self._trial.close()

    def _compile(self, grammar: Grammar) -> LLMatcher:
        self._trial.check(grammar)
        compiled = new_matcher(self._known_vocabulary().tokenizer, grammar)
        if not compiled.is_error():
            compiled.compute_bitmask()  # warms what all copies share, and tells whether any text fulfils the grammar
        if reason := reason_of(compiled):
            raise refusal(grammar, reason)
        with self._lock:
            self._compiled[grammar.kind, grammar.source] = compiled
            while len(self._compiled) > CACHED_GRAMMARS:
                self._compiled.popitem(last=False)
            return compiled.deep_copy()

    def _known_vocabulary(self) -> Vocabulary:
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(self._tokenizer)
        return self._vocabulary


class Threads:
    """Threads for masks. One that is stuck is left to itself, since it cannot be ended."""

    def __init__(self) -> None:
        self._pool = self._new_pool()

    def submit(self, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Begin some work."""
        return self._pool.submit(work, *arguments)

    def replace(self) -> None:
        """Begin no more work with the threads there are."""
        self._pool.shutdown(wait=False)
        self._pool = self._new_pool()

    @staticmethod
    def _new_pool() -> ThreadPoolExecutor:
        return ThreadPoolExecutor(2, thread_name_prefix="mask")  # starts no thread before it has work


class Vocabulary:
    """A tokenizer as llguidance has it: with one token more, which stands for the end.

    Which tokens end an answer differs between requests; so no token of the model does, and where the mask allows the
    one that is added, the request's own are allowed.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        from llguidance import LLTokenizer

        self.size = self.end_id = tokenizer.vocab_size
        self.token_bytes = tokenizer.token_bytes
        ids = range(self.size)
        # The names that llguidance asks for: attributes of what it takes for a wrapper around a tokenizer.
        self.is_tokenizer_wrapper = True
        self.bos_token_id = None
        self.eos_token_id = self.end_id
        self.special_token_ids = [*(id_ for id_ in ids if tokenizer.is_control(id_)), self.end_id]
        self.tokens = [
            tokenizer.token_name(id_).encode() if tokenizer.is_control(id_) else tokenizer.token_bytes(id_)
            for id_ in ids
        ] + [b"<end of answer>"]
        self._encode = partial(tokenizer.encode, continues=True)
        self.tokenizer: LLTokenizer = LLTokenizer(self)  # type: ignore[arg-type]  # a wrapper by its attributes
        del self.tokens
        self.starting_with_digit = self.bits([id_ for id_ in ids if tokenizer.token_bytes(id_)[:1].isdigit()])

    def __call__(self, text: str) -> list[int]:
        """Tokens of a text that goes on from text before it; asked for where a grammar leaves but one text."""
        return self._encode(text)

    @property
    def words(self) -> int:
        """Words of a mask."""
        return -(-self.size // 32)

    def bits(self, ids: list[int]) -> NDArray[np.uint32]:
        """The mask that allows these tokens: [words]."""
        mask = np.zeros(self.words * 32, np.uint8)
        mask[ids] = 1
        return np.packbits(mask, bitorder="little").view(np.uint32)


class Matcher:
    """One answer's place in its grammar.

    The step's thread calls `fill` and `accept`, in turn. ``failure`` says why there is no next token, once that is so.
    """

    def __init__(
        self,
        grammar: Grammar,
        matcher: LLMatcher,
        vocabulary: Vocabulary,
        stop_token_ids: frozenset[int],
        threads: Threads,
    ) -> None:
        self.failure: InvalidParameter | None = None
        self._grammar = grammar
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._stops = vocabulary.bits([id_ for id_ in stop_token_ids if id_ < vocabulary.size])
        self._threads = threads
        self._numbers = NumberRuns() if grammar.kind in ("json_object", "json_schema", "calls") else None
        self._mask = threads.submit(self._compute)

    def fill(self, row: NDArray[np.uint32]) -> None:
        """Write which tokens may come next to a mask's row: [words]. With a ``failure`` it is none."""
        row[:] = 0
        if self.failure is None:
            mask = self._await(self._mask)
            if mask is not None:
                row[:] = mask

    def accept(self, token_id: int) -> bool:
        """Go on by a token, none that ends the answer; whether another may follow."""
        stopped = self._await(self._threads.submit(self._consume, token_id))
        if stopped is None:
            return True  # and the next mask allows nothing
        if not stopped:
            self._mask = self._threads.submit(self._compute)
        return not stopped

    def _await(self, work: Future[Result]) -> Result | None:
        try:
            return work.result(MASK_SECONDS)
        except TimeoutError:
            self.failure = refusal(self._grammar, f"its next token could not be found within {MASK_SECONDS:g} s")
            self._threads.replace()
            return None

    def _consume(self, token_id: int) -> bool:
        self._matcher.consume_token(token_id)  # what goes wrong here is told by the next mask
        if self._numbers is not None:
            self._numbers.push(self._vocabulary.token_bytes(token_id))
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def _compute(self) -> NDArray[np.uint32]:
        vocabulary = self._vocabulary
        found = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)
        mask = found[: vocabulary.words].copy()
        if reason := reason_of(self._matcher):
            self.failure = refusal(self._grammar, reason)
            return np.zeros_like(mask)
        end_word, end_bit = divmod(vocabulary.end_id, 32)
        may_end = bool(found[end_word] >> end_bit & 1)
        if end_word < vocabulary.words:
            mask[end_word] &= ~np.uint32(1 << end_bit)
        if may_end:
            mask |= self._stops
        if self._numbers is not None and self._numbers.length >= MAX_DIGITS:
            others = mask & ~vocabulary.starting_with_digit
            mask = others if others.any() else mask
        if not mask.any():
            self.failure = refusal(self._grammar, "no token of this model goes on with it")
        return mask


class NumberRuns:
    """Counts the digits that a text of JSON ends with, if they belong to a number."""

    __slots__ = ("_escaped", "_in_string", "length")

    def __init__(self) -> None:
        self.length = 0
        self._in_string = self._escaped = False

    def push(self, data: bytes) -> None:
        """Go on by some bytes of the text."""
        for byte in data:
            if self._in_string:
                self._in_string = self._escaped or byte != QUOTE
                self._escaped = not self._escaped and byte == ESCAPE
            elif byte in DIGITS:
                self.length += 1
            else:
                self.length = 0
                self._in_string = byte == QUOTE
