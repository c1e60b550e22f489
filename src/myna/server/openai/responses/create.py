"""``POST /v1/responses``: whole, as a stream, or in background."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.errors import MynaError, StoreError
from myna.server.connected import answer_while_connected
from myna.server.errors import describe, json_response, status_of
from myna.server.identity import owner_of
from myna.server.openai.connection import EventStream, read_json, request_schema
from myna.server.openai.generation import ServedModel, serve_model, unix_seconds
from myna.server.openai.responses.background import INTERRUPTED, Job
from myna.server.openai.responses.context import Context, fitted, in_terms_of_responses, read_context
from myna.server.openai.responses.frames import Event, FrameWriter, Piece, failure
from myna.server.openai.responses.output import Output
from myna.server.openai.responses.service import ResponseService
from myna.server.openai.responses.types import ContextBody, ResponseBody
from myna.server.openai.tools import ToolUse
from myna.store.pages import new_id

router = APIRouter()
logger = logging.getLogger(__name__)

Events = AsyncGenerator[Started | Delta | Finished, None]


@router.post("/v1/responses", openapi_extra=request_schema(ResponseBody))
async def create_response(request: Request) -> Response:
    """Answer a conversation of items with a response."""
    body = ResponseBody.parse(await read_json(request))
    use, params, form, effort = body.tool_use, body.params, body.form, body.effort
    echo = body.echo()

    async def answer() -> Response:
        service: ResponseService = request.app.state.responses
        owner = owner_of(request)
        context = await read_context(service.database, owner, body)
        model = await serve_model(request, body.model, body.adapter)
        job = Job(
            owner, new_id("resp_"), body.previous_response_id, body.conversation_id, context.given, stored=body.store
        )
        prompt = prompt_of(job.id, body, context, use, effort)
        generation = replace(prompt, params=params, grammar=form, adapter=model.adapter)
        if body.truncation == "auto":
            generation = await fitted(model, generation)
        output = Output(
            _begun(job.id, model, echo),
            model.description.tokenizer,
            [tool.name for tool in use.tools],
            parallel=use.parallel,
        )
        backend = replace(model.backend, background=model.backend.background or body.service_tier == "flex")
        if body.background:
            begun = output.queue()
            queued = output.shown
            log = await service.launch(job, output, begun, backend, generation)
            if not body.stream:
                return json_response(queued)
            writer = FrameWriter()
            frames = log.follow(-1, padded=body.padded, writer=writer)
            return ResponseStream(frames, frames, writer)
        events = backend.generate(generation)
        if not body.stream:
            await _complete(output, events)
            try:
                await service.keep(job, output)
            except StoreError as error:  # it was made all the same; asked again, the client would get another
                failed = describe(error) | {"response": output.shown}
                return json_response(failed, status_of(error), {"x-should-retry": "false"})
            return json_response(output.shown)
        try:
            output.take(await anext(events))  # a prompt that is refused is an HTTP error, not a broken stream
        except MynaError as error:
            raise in_terms_of_responses(error) from None
        writer = FrameWriter(padded=body.padded)
        stopping = request.app.state.stopping
        return ResponseStream(_frames(service, job, output, writer, events, stopping.is_set), events, writer)

    return await answer_while_connected(request, answer())


def prompt_of(
    request_id: str, body: ContextBody, context: Context, use: ToolUse, effort: str | None
) -> GenerationRequest:
    """The request to a model, with what its prompt is made of."""
    return GenerationRequest(
        id=request_id,
        params=SamplingParams(),
        messages=context.messages,
        dialect=body.dialect,
        tools=use.tools,
        must_call=use.must_call,
        parallel_calls=use.parallel,
        reasoning_effort=effort,
    )


class ResponseStream(EventStream):
    """A response's events. Where the server must stop, the last one says so, with the number that ``writer`` gives."""

    def __init__(
        self, frames: AsyncGenerator[bytes, None], source: AsyncGenerator[Any, None], writer: FrameWriter
    ) -> None:
        super().__init__(frames, source)
        self.writer = writer

    def failure_frame(self, error: MynaError) -> bytes:
        """See `EventStream.failure_frame`."""
        return self.writer.frame(failure(error))


def _begun(response_id: str, model: ServedModel, echo: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": response_id,
        "object": "response",
        "created_at": unix_seconds(),
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": model.name,
        "output": [],
        "usage": None,
        **echo,
    }


async def _complete(output: Output, events: Events) -> None:
    output.begin()
    try:
        async with aclosing(events):
            async for event in events:
                output.take(event)
    except MynaError as error:
        raise in_terms_of_responses(error) from None


async def _frames(
    service: ResponseService,
    job: Job,
    output: Output,
    writer: FrameWriter,
    events: Events,
    stopping: Callable[[], bool],
) -> AsyncGenerator[bytes, None]:
    """Frames as they come. The response is stored before its last event is sent, and also when its client goes."""
    said: list[Event | Piece] = []
    is_kept = False
    try:
        yield writer.frames(output.begin())
        try:
            async for event in events:
                said = output.take(event)
                if said and not output.ended:
                    yield writer.frames(said)
        except MynaError as error:
            said = output.fail(in_terms_of_responses(error))
        try:
            await service.keep(job, output)
        except StoreError as error:  # all is said, but the last event would promise that it is stored
            said = [*said[:-1], failure(error)]
        is_kept = True
        yield writer.frames(said)
    finally:
        if not is_kept:
            if not output.ended:
                if stopping():
                    output.fail(INTERRUPTED)
                else:
                    output.cancel()
            try:
                await service.keep(job, output)
            except StoreError as error:
                logger.warning("Response %s, whose client is gone, was not stored: %s", job.id, error.message)
