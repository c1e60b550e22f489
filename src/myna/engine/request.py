"""What a caller asks of the engine, and what comes back: plain data that crosses the process boundary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from myna.chat import Message, Tool
from myna.models.dialects.answer import PLAIN_ANSWER, AnswerSyntax

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen and when to stop.

    ``max_tokens`` None means: up to the end of the context. ``temperature`` 0 is greedy. ``top_k`` 0 is off.
    ``seed`` None lets the engine draw one; it is reported in `Started`. Random numbers are keyed by seed and
    position, so the same seed gives the same text whatever runs beside it.
    ``presence_penalty`` and ``frequency_penalty`` count generated tokens only, as OpenAI documents them;
    ``repetition_penalty`` counts the prompt too (Keskar et al. 2019, https://arxiv.org/abs/1909.05858).
    ``logprobs`` None: off; n: the chosen token's log-probability and the n likeliest alternatives, of the
    model's own distribution before any of the above changes it. ``prompt_logprobs``: the same for the prompt, or
    for its last ``prompt_logprobs_last`` tokens alone, and then what is before them may come from the cache.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = field(default_factory=dict)
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    prompt_logprobs_last: int | None = None


GrammarKind = Literal["json_object", "json_schema", "regex", "lark", "calls"]


@dataclass(frozen=True, slots=True)
class Grammar:
    """What an answer has to be: any JSON object, or what ``source`` describes.

    ``param`` is what its sender calls it, for errors. ``calls`` is a Lark grammar too, whose texts are JSON but for
    a few words around it.
    """

    kind: GrammarKind
    source: str = ""
    param: str = "grammar"


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One sequence to generate.

    Exactly one of ``messages`` (rendered by the model's chat dialect), ``text`` (tokenised as plain text, with the
    model's own begin-of-text token if it has one) and ``token_ids`` (taken as they are) is set.
    ``suffix`` is what follows the answer to a ``text``: the gap between the two is to be filled.
    ``continue_last``: the last message is the assistant's own unfinished answer, to be carried on.
    ``begun`` are the answer's first tokens, taken as they are: they follow the prompt and count as part of it, and the
    text that is told goes on where theirs ends, be that in the middle of a character.
    ``owner`` salts the prefix cache: requests of different owners never share blocks.
    ``dialect`` names how the messages are written for the model; None is the model's own way.
    ``adapter`` names a loaded LoRA adapter of the model; None is the model itself.
    ``grammar`` is what the answer has to be. It ends where the grammar does, or where the grammar accepts and the model
    ends it; only ``max_tokens``, the context and the caller's own stop strings cut it short.
    ``tools`` may be called, those that are strict with arguments that fulfil their schemas; with ``must_call`` the
    answer is one call or, with ``parallel_calls``, a few, all of which do. `Started.syntax` tells how to read them.
    ``background``: nobody waits for the answer; it gives way to all requests that are not in the background.
    ``reasoning_effort`` is how much to think first, in OpenAI's words; None is up to the model, "on" too, but
    that it thinks.
    """

    id: str
    params: SamplingParams
    messages: tuple[Message, ...] | None = None
    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    suffix: str | None = None
    continue_last: bool = False
    begun: tuple[int, ...] = ()
    owner: str = ""
    dialect: str | None = None
    adapter: str | None = None
    grammar: Grammar | None = None
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    parallel_calls: bool = True
    reasoning_effort: str | None = None
    background: bool = False

    @property
    def is_constrained(self) -> bool:
        """Whether there may be a grammar to compile for it."""
        return self.grammar is not None or self.must_call or any(tool.strict for tool in self.tools)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token, its text as raw bytes, its natural-log probability, and its likeliest rivals, best first."""

    token_id: int
    token: bytes
    logprob: float
    top: tuple[tuple[int, bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """First event of every request: it was admitted and its prompt is processed.

    ``prompt_logprobs`` has one entry a prompt token when asked for; the first token has none (None). Of the tokens
    in it, rivals too, ``control_ids`` are control tokens, which have a name in place of a text.
    ``syntax`` is how the answer's text is to be read (`myna.models.dialects.answer.AnswerParser`).
    """

    request_id: str
    prompt_tokens: int
    cached_tokens: int
    seed: int
    prompt_token_ids: tuple[int, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob | None, ...] | None = None
    control_ids: tuple[int, ...] = ()
    syntax: AnswerSyntax = PLAIN_ANSWER


@dataclass(frozen=True, slots=True)
class Delta:
    """New text, always whole characters; ``token_ids`` are the tokens since the last delta.

    Text that may yet become part of a stop string, or half a character, is held back; its tokens come with the
    delta that releases it (or with `Finished` when a stop string swallowed it).
    """

    request_id: str
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Last event of every request that did not fail.

    ``stop`` is the stop string that ended it, if one did. ``completion_tokens`` counts every generated token,
    the end token and swallowed stop text included. Times are seconds: waiting for admission, until the first
    token, and from the first to the last token.
    """

    request_id: str
    reason: FinishReason
    completion_tokens: int
    stop: str | None = None
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    decode_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """Last event of a request that failed: ``error`` is the class name of a leaf of `myna.errors`.

    ``details`` are the attributes that this leaf has beyond message and param, such as a prompt's length.
    """

    request_id: str
    error: str
    message: str
    param: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


Event = Started | Delta | Finished | Failed
