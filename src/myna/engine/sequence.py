"""One request while it lives in the engine: its tokens, how far they are computed, and where its KV blocks are."""

from __future__ import annotations

from array import array
from collections.abc import Sequence as Items

from myna.engine.adapters import Adapter
from myna.engine.blocks import ID_TYPECODE
from myna.engine.drafts import Drafter
from myna.engine.grammar import Matcher
from myna.engine.request import GenerationRequest, TokenLogprob
from myna.engine.stream import TextStream
from myna.models.dialects.answer import PLAIN_ANSWER, AnswerSyntax


class Sequence:
    """A prompt and what was generated after it.

    ``num_computed`` tokens, whose keys and values are in ``blocks``, chase ``len(tokens)``: prefill, prefix hits and
    decode are the same race. Whoever is one behind yields a new token, and as many more as its ``drafts`` guess right.
    After a preemption the race starts anew with the tokens kept, and because random numbers are keyed by seed and
    position, it ends in the same text.
    """

    __slots__ = (
        "adapter",
        "adapter_name",
        "admitted_at",
        "arrived_at",
        "background",
        "blocks",
        "cached_tokens",
        "channel",
        "digests",
        "drafter",
        "drafts",
        "first_scored",
        "first_token_at",
        "id",
        "last_token_at",
        "matcher",
        "max_tokens",
        "num_computed",
        "num_prompt",
        "num_remembered",
        "num_tabled",
        "owner",
        "params",
        "prompt_logprobs",
        "salt",
        "seed",
        "shown",
        "slot",
        "stop_token_ids",
        "stream",
        "syntax",
        "tokens",
        "was_admitted",
    )

    def __init__(
        self,
        request: GenerationRequest,
        prompt: Items[int],
        *,
        seed: int,
        max_tokens: int,
        stream: TextStream,
        stop_token_ids: frozenset[int],
        matcher: Matcher | None = None,
        syntax: AnswerSyntax = PLAIN_ANSWER,
        shown: dict[int, bytes] | None = None,
        channel: int = 0,
        arrived_at: float = 0.0,
    ) -> None:
        self.id = request.id
        self.channel = channel  # which client asked; ids are unique within a channel only
        self.owner = request.owner
        self.background = request.background  # gives way to those that are not
        self.adapter_name = request.adapter
        self.adapter: Adapter | None = None  # once it is added to an engine
        self.salt = request.owner  # who has another salt shares no prefix
        self.params = request.params
        self.seed = seed
        self.max_tokens = max_tokens  # resolved: at most what the context leaves
        self.stream = stream
        self.stop_token_ids = stop_token_ids
        self.matcher = matcher  # of the grammar, if the answer has one
        self.syntax = syntax  # how the answer's text is to be read
        self.shown = shown or {}  # control tokens that are part of the text, and their bytes

        self.tokens = array(ID_TYPECODE, prompt)
        self.num_prompt = len(prompt)
        self.num_computed = 0
        self.blocks: list[int] = []
        self.drafter: Drafter | None = None  # guesses what comes next, once that is tried
        self.drafts: list[int] = []  # guesses that the next step verifies
        self.digests: list[bytes] = []  # of the full blocks of tokens, as far as they were asked for
        self.num_remembered = 0  # leading blocks that the prefix cache knows, or that it was told of
        self.cached_tokens = 0  # of the prompt, found in the prefix cache on first admission
        self.slot = -1  # while running: its own number below max_sequences
        self.num_tabled = 0  # blocks that the engine has copied into its block table
        # One entry a prompt token that was scored so far, from `first_scored` on. The first of a prompt has none.
        last = self.params.prompt_logprobs_last
        self.first_scored = 0 if last is None else max(0, self.num_prompt - last)
        self.prompt_logprobs: list[TokenLogprob | None] | None = None
        if self.params.prompt_logprobs is not None:
            self.prompt_logprobs = [] if self.first_scored else [None]

        self.was_admitted = False
        self.arrived_at = arrived_at  # seconds of time.perf_counter(), as the three below
        self.admitted_at = 0.0
        self.first_token_at = 0.0
        self.last_token_at = 0.0

    @property
    def num_generated(self) -> int:
        """Tokens generated so far."""
        return len(self.tokens) - self.num_prompt

    @property
    def num_uncomputed(self) -> int:
        """Tokens whose keys and values are not in the cache yet; one while decoding."""
        return len(self.tokens) - self.num_computed

    @property
    def is_scoring(self) -> bool:
        """Whether log-probabilities of prompt tokens are still to be computed."""
        return self.prompt_logprobs is not None and self.next_scored < self.num_prompt

    @property
    def next_scored(self) -> int:
        """Position of the first prompt token that waits for its log-probability."""
        assert self.prompt_logprobs is not None
        return self.first_scored + len(self.prompt_logprobs)

    @property
    def num_reusable(self) -> int:
        """Tokens whose keys and values may come from the prefix cache: what follows them has to give logits."""
        return self.next_scored - 1 if self.is_scoring else len(self.tokens) - 1
