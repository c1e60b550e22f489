"""``POST /v1/messages``, whole or as the events that Anthropic's clients expect, and ``/v1/messages/count_tokens``."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.errors import MynaError, PromptTooLong
from myna.server.anthropic.blocks import Blocks
from myna.server.anthropic.types import CountBody, MessageBody
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.openai.connection import EventStream, read_json, request_schema
from myna.server.openai.generation import ServedModel, finish_reason, serve_model
from myna.server.shapes import ANTHROPIC

Events = AsyncGenerator[Started | Delta | Finished, None]

_encode = msgspec.json.Encoder().encode


router = APIRouter(prefix="/v1/messages")


class MessageStream(EventStream):
    """A stream of named events."""

    def failure_frame(self, error: MynaError) -> bytes:
        """What the stream ends with when the server must stop."""
        return _failure(error)


@router.post("", openapi_extra=request_schema(MessageBody))
async def create_message(request: Request) -> Response:
    """Answer a conversation."""
    body = MessageBody.parse(await read_json(request))
    generation = body.generation(f"msg_{uuid.uuid4().hex}", body.params)

    async def answer() -> Response:
        model = await serve_model(request, body.model)
        events = model.backend.generate(replace(generation, adapter=model.adapter))
        started = await anext(events)  # a prompt that is refused is an HTTP error, not a broken stream
        assert isinstance(started, Started)
        if body.stream:
            return MessageStream(_frames(generation, model, started, events), events)
        return json_response(await _whole(generation, model, started, events))

    return await answer_while_connected(request, answer())


@router.post("/count_tokens", openapi_extra=request_schema(CountBody))
async def count_tokens(request: Request) -> Response:
    """How many tokens a conversation has, also where that is more than the model takes."""
    body = CountBody.parse(await read_json(request))
    generation = body.generation(f"count_{uuid.uuid4().hex}", SamplingParams())

    async def answer() -> Response:
        model = await serve_model(request, body.model)
        try:
            count = len(await model.backend.encode_prompt(generation))
        except PromptTooLong as error:
            count = error.tokens
        return json_response({"input_tokens": count})

    return await answer_while_connected(request, answer())


async def _whole(request: GenerationRequest, model: ServedModel, started: Started, events: Events) -> dict[str, Any]:
    blocks = _blocks(request, started)
    async with aclosing(events):
        async for event in events:
            blocks.take(event)
            if isinstance(event, Finished):
                finished = event
    return (
        _message(request.id, model, started)
        | {"content": blocks.content}
        | _stop(finished, request.params, blocks)
        | {"usage": _usage(started, finished.completion_tokens)}
    )


async def _frames(
    request: GenerationRequest, model: ServedModel, started: Started, events: Events
) -> AsyncGenerator[bytes, None]:
    blocks = _blocks(request, started)
    yield _frame({"type": "message_start", "message": _message(request.id, model, started)})
    has_begun = False
    try:
        async for event in events:
            for made in blocks.take(event):
                yield _frame(made)
                if not has_begun:
                    has_begun = True
                    yield _frame({"type": "ping"})
            if isinstance(event, Finished):
                stop = _stop(event, request.params, blocks)
                usage = {"output_tokens": event.completion_tokens}
                yield _frame({"type": "message_delta", "delta": stop, "usage": usage})
                yield _frame({"type": "message_stop"})
    except MynaError as error:
        yield _failure(error)


def _blocks(request: GenerationRequest, started: Started) -> Blocks:
    blocks = Blocks([tool.name for tool in request.tools], parallel=request.parallel_calls)
    blocks.take(started)
    return blocks


def _frame(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event))


def _failure(error: MynaError) -> bytes:
    return b"event: error\ndata: %b\n\n" % _encode(ANTHROPIC.frame(error))


def _message(message_id: str, model: ServedModel, started: Started) -> dict[str, Any]:
    """A message of which nothing is there yet."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model.name,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(started, 0),
    }


def _stop(finished: Finished, params: SamplingParams, blocks: Blocks) -> dict[str, Any]:
    """Why the message ended; a stop string of the model's own is its end."""
    if finish_reason(finished) == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    if blocks.has_uses:
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if finished.stop in params.stop:
        return {"stop_reason": "stop_sequence", "stop_sequence": finished.stop}
    return {"stop_reason": "end_turn", "stop_sequence": None}


def _usage(started: Started, output_tokens: int) -> dict[str, Any]:
    """Tokens; those that were found in the prefix cache are counted apart, as Anthropic does."""
    return {
        "input_tokens": started.prompt_tokens - started.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": started.cached_tokens,
        "output_tokens": output_tokens,
    }
