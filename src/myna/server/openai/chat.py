"""``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.engine.request import Delta, Finished, GenerationRequest, Started
from myna.errors import MynaError, StoreError
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.openai.answers import Choice, delta
from myna.server.openai.connection import EventStream, read_json, request_schema
from myna.server.openai.generation import (
    copies,
    run_all,
    serve_model,
    unix_seconds,
    usage,
)
from myna.server.openai.logprobs import chat_logprobs
from myna.server.openai.messages import parse_messages
from myna.server.openai.sse import DONE, ChunkWriter, encode, error_frame
from myna.server.openai.stored import Keeper, failed_response
from myna.server.openai.types import ChatCompletionBody
from myna.store.pages import new_id

router = APIRouter()

Events = AsyncGenerator[tuple[int, Started | Delta | Finished], None]


@router.post("/v1/chat/completions", openapi_extra=request_schema(ChatCompletionBody))
async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation."""
    body = ChatCompletionBody.parse(await read_json(request))
    use = body.tool_use
    generation = GenerationRequest(
        id=new_id("chatcmpl-"),
        params=body.params,
        messages=parse_messages(body.messages),
        dialect=body.dialect,
        grammar=body.form,
        tools=use.tools,
        must_call=use.must_call,
        parallel_calls=use.parallel,
        reasoning_effort=body.reasoning_effort,
    )
    include_usage, padded = body.include_usage, body.padded
    created = unix_seconds()
    keeper = Keeper(request, body) if body.store else None

    async def answer() -> Response:
        model = await serve_model(request, body.model, body.adapter)
        backend = replace(model.backend, background=model.backend.background or body.tier == "flex")
        events = run_all(backend, copies(replace(generation, adapter=model.adapter), body.n), body.n)
        names = [tool.name for tool in use.tools]
        choices = [Choice(names, use.parallel) for _ in range(body.n)]
        common = {
            "id": generation.id,
            "object": "chat.completion.chunk" if body.stream else "chat.completion",
            "created": created,
            "model": model.name,
            "system_fingerprint": model.fingerprint,
        }
        if body.service_tier is not None:
            common["service_tier"] = body.tier
        if not body.stream:
            labels = {} if body.metadata is None else {"metadata": body.metadata}
            return await _complete(common | labels, choices, events, keeper)
        _, started = await anext(events)  # a prompt that is refused is an HTTP error, not a broken stream
        choices[0].take(started)
        writer = ChunkWriter(common, with_usage=include_usage, padded=padded)
        completion = common | {"object": "chat.completion"}
        return EventStream(_frames(writer, completion, choices, events, include_usage, keeper), events)

    return await answer_while_connected(request, answer())


async def _complete(common: dict[str, Any], choices: list[Choice], events: Events, keeper: Keeper | None) -> Response:
    async with aclosing(events):
        async for index, event in events:
            choices[index].take(event)
    completion = _completion(common, choices)
    failure = None if keeper is None else await keeper.keep(completion, choices)
    return json_response(completion) if failure is None else failed_response(failure, completion)


def _completion(common: dict[str, Any], choices: list[Choice]) -> dict[str, Any]:
    return common | {
        "choices": [choice.json(index) for index, choice in enumerate(choices)],
        "usage": _usage(choices),
    }


async def _frames(
    writer: ChunkWriter,
    common: dict[str, Any],
    choices: list[Choice],
    events: Events,
    include_usage: bool,
    keeper: Keeper | None,
) -> AsyncGenerator[bytes, None]:
    """The stream; ``common`` is what the completion begins with that is kept at its end."""
    for index in range(len(choices)):
        yield writer.choice(
            b'{"index":%d,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,'
            b'"finish_reason":null}' % index
        )
    failure: StoreError | None = None
    try:
        async for index, event in events:
            logprobs = b"null"
            if isinstance(event, Delta) and event.logprobs:
                logprobs = encode(chat_logprobs(event.logprobs))
            said = [delta(each) for each in choices[index].take(event)]
            if not said and logprobs != b"null":
                said = [{"content": ""}]  # tokens whose text is held back
            if keeper is not None and all(choice.finished for choice in choices):
                # Before its last chunk is sent: clients may leave at a finish reason, without waiting for [DONE].
                failure = await keeper.keep(_completion(common, choices), choices)
            for each in said:
                yield writer.choice(
                    b'{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":null}' % (index, encode(each), logprobs)
                )
                logprobs = b"null"
            if isinstance(event, Finished):
                reason = encode(choices[index].finish_reason)
                yield writer.choice(b'{"index":%d,"delta":{},"logprobs":null,"finish_reason":%b}' % (index, reason))
        if include_usage:
            yield writer.usage(_usage(choices))
        if failure is not None:
            raise failure
    except MynaError as error:
        yield error_frame(error)
        return
    yield DONE


def _usage(choices: list[Choice]) -> dict[str, Any]:
    """The first answer's prompt is that of all."""
    return usage(
        [choice.started for choice in choices[:1] if choice.started],
        [choice.finished for choice in choices if choice.finished],
    )
