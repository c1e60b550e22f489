"""How likely an answer's tokens were: they are read again behind their branch, as the model read them when it wrote.

Nothing of it is stored. The engine's figures do not depend on how a sequence is batched or cut, so these are those of
generation to the last bit, as long as the model, its instructions and the branch are the same.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from myna.backends.base import Delta, Finished, GenerationRequest, ModelDescription, Started
from myna.chat import Message as Turn
from myna.chat import TextPart
from myna.engine.request import SamplingParams, TokenLogprob
from myna.errors import Conflict, InvalidParameter
from myna.runs import instructions
from myna.runs.answer import effort
from myna.store.records import Message, Usage
from myna.store.scope import Scope


class Tokens(Protocol):
    """What of a backend is needed to find an answer's tokens."""

    async def tokenize(self, text: str) -> list[int]: ...

    async def describe(self) -> ModelDescription: ...


class Scorer(Tokens, Protocol):
    """What of a backend scoring needs."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Started | Delta | Finished, None]: ...


@dataclass(frozen=True, slots=True)
class Scores:
    """Some of an answer's tokens with their probabilities, of the model itself before sampling changes anything.

    Attributes:
        tokens: from number ``first`` of the answer on; their rivals are the likeliest tokens at each place.
        total: tokens of the whole answer.
        control_ids: tokens among them, rivals too, that are marks and no text.
        generated: whether these are the very tokens that the model wrote; else its text was tokenised for this.
        unchanged: whether the prompt has as many tokens as it had then; None where that is not known.
    """

    tokens: tuple[TokenLogprob, ...]
    first: int
    total: int
    control_ids: tuple[int, ...]
    generated: bool
    unchanged: bool | None


async def turns_above(scope: Scope, answer: Message, model: str, *, profile: Scope | None = None) -> tuple[Turn, ...]:
    """What the model was told before it wrote an answer: its instructions and the branch above.

    ``profile`` is where the user's own instructions are, if not beside the chat.

    Raises:
        InvalidParameter: there is nothing above.
    """
    if answer.parent_id is None:
        raise InvalidParameter("The messages that this answers were deleted, so it cannot be scored.", param="message")
    told = (answer.parameters or {}).get("system_prompt")
    since = None if answer.usage is None else answer.usage.context_from
    return await instructions.prompt(scope, answer.chat_id, answer.parent_id, model, told, profile=profile, since=since)


async def score(
    backend: Scorer,
    turns: Sequence[Turn],
    answer: Message,
    *,
    first: int,
    count: int,
    top: int,
) -> Scores:
    """Score up to ``count`` of an answer's tokens behind the turns that it answers, with ``top`` rivals each.

    Raises:
        Conflict: the answer is still being written.
        InvalidParameter: it has no token number ``first``.
        PromptTooLong: branch and answer do not fit into the model's context.
    """
    if answer.status == "running":
        raise Conflict(f"Message {answer.id} is still being written; its tokens can be looked at when it is done.")
    ids, generated = await token_ids(backend, answer)
    if not 0 <= first < len(ids):
        raise InvalidParameter(
            f"first is {first}; this answer has {len(ids)} tokens, which count from 0.", param="first"
        )
    begun = ids[: first + count]
    asked = answer.parameters or {}
    params = SamplingParams(max_tokens=0, prompt_logprobs=top, prompt_logprobs_last=len(begun) - first)
    request = GenerationRequest(
        id=str(uuid.uuid4()),
        params=params,
        messages=tuple(turns),
        begun=tuple(begun),
        dialect=asked.get("dialect"),
        adapter=asked.get("adapter"),
        reasoning_effort=effort(asked),
        background=True,
    )
    async with aclosing(backend.generate(request)) as events:
        started = await anext(events)
        assert isinstance(started, Started), "a backend says Started first"
    scored = tuple(entry for entry in started.prompt_logprobs or () if entry is not None)
    unchanged = _unchanged(answer.usage, started.prompt_tokens - len(begun), len(ids)) if generated else None
    return Scores(scored, first, len(ids), started.control_ids, generated, unchanged)


async def token_ids(backend: Tokens, answer: Message) -> tuple[list[int], bool]:
    """An answer's tokens for this model, and whether they are those that it was generated with.

    What a person or another model wrote is tokenised.
    """
    tokenizer = (await backend.describe()).tokenizer
    ids: list[int] = []
    generated = True
    for part in answer.parts:
        if part.token_ids and part.tokenizer == tokenizer:
            ids += part.token_ids
        elif isinstance(part, TextPart) and part.text:
            ids += await backend.tokenize(part.text)
            generated = False
    return ids, generated


def _unchanged(usage: Usage | None, prompt: int, total: int) -> bool | None:
    """Whether the prompt has its old length. That of an answer that was carried on had its beginning too."""
    if usage is None:
        return None
    begun = total - usage.completion_tokens  # the token that ended it was counted, and is not kept
    return usage.prompt_tokens - prompt in (0, begun, begun + 1)
