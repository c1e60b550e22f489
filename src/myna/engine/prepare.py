"""A request becomes a sequence: checked, its prompt rendered and tokenised, everything left open decided."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence as Items

from myna.engine.call_grammar import answer_grammar
from myna.engine.grammar import Grammars
from myna.engine.limits import check_params
from myna.engine.model import Model, Tokenizer
from myna.engine.request import GenerationRequest
from myna.engine.sequence import Sequence
from myna.engine.stream import TextStream
from myna.errors import InvalidParameter, PromptTooLong, UnsupportedParameter
from myna.models.dialects.answer import PLAIN_ANSWER, AnswerSyntax


def prepare(request: GenerationRequest, model: Model, grammars: Grammars, *, limit: int, channel: int = 0) -> Sequence:
    """The sequence for a request. Touches no engine state: may run beside a step, in any thread.

    Args:
        request: what a client asks.
        model: for its tokenizer and dialects.
        grammars: compiles the request's grammar, if it has one.
        limit: tokens that a sequence can have.
        channel: which client it is.

    Raises:
        InvalidParameter: a parameter is malformed or out of range, the dialect is unknown, the conversation cannot
            be rendered, or the grammar cannot be used.
        UnsupportedParameter: the model cannot fill gaps.
        PromptTooLong: the prompt has more tokens than the limit.
    """
    arrived_at = time.perf_counter()
    params, tokenizer = request.params, model.tokenizer
    check_params(params, tokenizer.vocab_size)
    stop_strings, stop_token_ids = params.stop, tokenizer.stop_token_ids
    grammar, syntax = request.grammar, PLAIN_ANSWER
    if request.messages is not None:
        dialect = model.dialect_for(request.dialect)
        written = dialect.prompt(
            request.messages,
            continue_last=request.continue_last,
            tools=request.tools,
            must_call=request.must_call,
            effort=request.reasoning_effort,
        )
        prompt, syntax = written.token_ids, written.syntax
        grammar = answer_grammar(
            syntax,
            request.tools,
            must_call=request.must_call,
            parallel=request.parallel_calls,
            otherwise=grammar,
            is_control=lambda mark: _is_control(tokenizer, mark),
        )
        if grammar is None:  # a grammar knows its own end, and may have a stop string inside
            stop_strings += dialect.stop_strings
        stop_token_ids |= dialect.stop_token_ids
    elif request.dialect is not None:
        raise InvalidParameter("A dialect is for messages; a plain prompt is taken as it is.", param="dialect")
    elif request.suffix is not None:
        if request.text is None:
            raise InvalidParameter("A suffix goes with a prompt of text, not of token ids.", param="suffix")
        if tokenizer.infill is None:
            raise UnsupportedParameter(
                "This model cannot fill text in before a suffix: its vocabulary has no tokens for that. Leave 'suffix' "
                "out, or choose a model for code that has them.",
                param="suffix",
            )
        prompt = tokenizer.encode_infill(request.text, request.suffix)
        stop_token_ids |= tokenizer.infill.stops
    elif request.text is not None:
        prompt = tokenizer.encode_prompt(request.text)
    else:
        prompt = checked_ids(request.token_ids or (), tokenizer)
    prompt = [*prompt, *checked_ids(request.begun, tokenizer)]
    if not prompt:
        raise InvalidParameter("The prompt is empty; it must have at least one token.", param="prompt")
    if len(prompt) > limit:
        raise PromptTooLong(len(prompt), limit, param="messages" if request.messages is not None else "prompt")
    room = max(1, limit - len(prompt))  # a prompt that fills the context still has one token after it
    if params.ignore_eos:
        stop_token_ids = frozenset()
    stream = TextStream(stop_strings, with_logprobs=params.logprobs is not None)
    stream.begin(b"".join(map(tokenizer.token_bytes, request.begun)))
    return Sequence(
        request,
        prompt,
        seed=int.from_bytes(os.urandom(4)) if params.seed is None else params.seed,
        max_tokens=room if params.max_tokens is None else min(params.max_tokens, room),
        stream=stream,
        stop_token_ids=stop_token_ids,
        matcher=None if grammar is None else grammars.matcher(grammar, stop_token_ids),
        syntax=syntax,
        shown=_shown(syntax, tokenizer),
        channel=channel,
        arrived_at=arrived_at,
    )


def _shown(syntax: AnswerSyntax, tokenizer: Tokenizer) -> dict[int, bytes]:
    """The marks of an answer's syntax that are control tokens: not seen otherwise."""
    ids = ((tokenizer.token_id(mark), mark) for mark in syntax.marks if _is_control(tokenizer, mark))
    return {token_id: mark.encode() for token_id, mark in ids if token_id is not None}


def _is_control(tokenizer: Tokenizer, mark: str) -> bool:
    token_id = tokenizer.token_id(mark)
    return token_id is not None and tokenizer.is_control(token_id)


def checked_ids(token_ids: Items[int], tokenizer: Tokenizer) -> list[int]:
    """The same ids. Raises `InvalidParameter` for one that is not in the vocabulary."""
    for token_id in token_ids:
        if not 0 <= token_id < tokenizer.vocab_size:
            raise InvalidParameter(
                f"The prompt has token {token_id}; this model has the tokens 0 to {tokenizer.vocab_size - 1}.",
                param="prompt",
            )
    return list(token_ids)
