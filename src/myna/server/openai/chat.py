"""``POST /v1/chat/completions``."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.engine.request import Delta, Finished, GenerationRequest, Started, TokenLogprob
from myna.errors import MynaError
from myna.server.errors import json_response
from myna.server.openai.connection import (
    EventStream,
    answer_while_connected,
    read_json,
    request_schema,
)
from myna.server.openai.generation import OWNER, ServedModel, finish_reason, now, run_all, serve_model, usage
from myna.server.openai.logprobs import chat_logprobs
from myna.server.openai.messages import parse_messages
from myna.server.openai.sse import DONE, ChunkWriter, encode, error_frame
from myna.server.openai.types import ChatCompletionBody

router = APIRouter()

Events = AsyncGenerator[tuple[int, Started | Delta | Finished], None]


@router.post("/v1/chat/completions", openapi_extra=request_schema(ChatCompletionBody))
async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation."""
    body = ChatCompletionBody.parse(await read_json(request))
    generation = GenerationRequest(
        id=f"chatcmpl-{uuid.uuid4().hex}",
        params=body.params,
        messages=parse_messages(body.messages),
        owner=OWNER,
        dialect=body.dialect,
    )
    include_usage = body.include_usage

    async def answer() -> Response:
        model = await serve_model(request.app.state.models, body.model, body.adapter)
        events = run_all(model.backend, [replace(generation, adapter=model.adapter)])
        if not body.stream:
            return json_response(await _complete(generation.id, model, events))
        _, started = await anext(events)  # a prompt that is refused is an HTTP error, not a broken stream
        assert isinstance(started, Started)
        writer = ChunkWriter(_common(generation.id, model, "chat.completion.chunk"), with_usage=include_usage)
        return EventStream(_frames(writer, started, events, include_usage), events)

    return await answer_while_connected(request, answer())


def _common(request_id: str, model: ServedModel, kind: str) -> dict[str, Any]:
    return {
        "id": request_id,
        "object": kind,
        "created": now(),
        "model": model.name,
        "system_fingerprint": model.fingerprint,
    }


async def _complete(request_id: str, model: ServedModel, events: Events) -> dict[str, Any]:
    text: list[str] = []
    logprobs: list[TokenLogprob] | None = None
    async with aclosing(events):
        async for _, event in events:
            match event:
                case Started():
                    started = event
                case Delta():
                    text.append(event.text)
                    if event.logprobs is not None:
                        logprobs = [*(logprobs or ()), *event.logprobs]
                case Finished():
                    finished = event
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(text), "refusal": None},
        "logprobs": None if logprobs is None else chat_logprobs(logprobs),
        "finish_reason": finish_reason(finished),
    }
    return _common(request_id, model, "chat.completion") | {
        "choices": [choice],
        "usage": usage([started], [finished]),
    }


async def _frames(
    writer: ChunkWriter, started: Started, events: Events, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    yield writer.choice(
        b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}'
    )
    try:
        async for _, event in events:
            if isinstance(event, Delta):
                if event.logprobs:
                    logprobs = encode(chat_logprobs(event.logprobs))
                elif event.text:
                    logprobs = b"null"
                else:
                    continue  # tokens whose text is held back come without any
                yield writer.choice(
                    b'{"index":0,"delta":{"content":%b},"logprobs":%b,"finish_reason":null}'
                    % (encode(event.text), logprobs)
                )
            elif isinstance(event, Finished):
                yield writer.choice(
                    b'{"index":0,"delta":{},"logprobs":null,"finish_reason":%b}' % encode(finish_reason(event))
                )
                if include_usage:
                    yield writer.usage(usage([started], [event]))
    except MynaError as error:
        yield error_frame(error)
        return
    yield DONE
