"""``POST /api/generate`` and ``/api/chat``: an answer in lines, or whole."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from myna.chat import Message
from myna.engine.request import Delta, Finished, GenerationRequest, Grammar, Started, TokenLogprob
from myna.errors import InvalidParameter, Refused
from myna.models.dialects.answer import AnswerEvent, AnswerParser
from myna.server.connected import answer_while_connected
from myna.server.errors import excerpt, json_response
from myna.server.identity import identity_of
from myna.server.limits import MAX_TOP_LOGPROBS
from myna.server.ollama.answers import Piece, Pieces
from myna.server.ollama.messages import NO_IMAGES, parse_messages, parse_tools
from myna.server.ollama.options import sampling
from myna.server.ollama.wire import Body, Lines, create_router, lines, nanoseconds, timestamp
from myna.server.openai.connection import request_schema
from myna.server.openai.generation import finish_reason, known_model, serve_model
from myna.server.openai.texts import check_text
from myna.server.permissions import lacking

router = create_router()

Say = Callable[[Piece], dict[str, Any]]
"""Where a piece of an answer stands: in ``response`` and beside it, or in ``message``."""

THINK = {False: "none", True: "on", "low": "low", "medium": "medium", "high": "high", "max": "xhigh"}
"""How much to think, in the engine's words."""


class AnswerBody(Body):
    """What both kinds of answers share."""

    stream: bool = True
    options: dict[str, Any] = Field(default_factory=dict)
    format: Any = None
    keep_alive: float | str | None = None
    think: Any = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] = 0

    def generation(self, **prompt: Any) -> GenerationRequest:
        """The request of a prompt.

        Raises:
            InvalidParameter: an option, the format or ``think`` is malformed.
            UnsupportedParameter: an option is not available here.
        """
        if self.think not in (None, *THINK):
            raise InvalidParameter(
                f"'think' must be true, false, low, medium, high or max; got {excerpt(self.think)}.", param="think"
            )
        params = sampling(self.name, self.options, self.top_logprobs if self.logprobs else None)
        return GenerationRequest(
            id=f"ollama-{uuid.uuid4().hex}",
            params=params,
            grammar=_grammar(self.format),
            reasoning_effort=None if self.think is None else THINK[self.think],
            **prompt,
        )

    @property
    def unloads(self) -> bool:
        """Whether the model is to be gone at once: it is kept for no time."""
        return self.keep_alive in (0, "0", "0s", "0m", "0h")


class GenerateBody(AnswerBody):
    """``POST /api/generate``."""

    unsupported = {  # noqa: RUF012 - pydantic takes it as the ClassVar that it is in the base
        "images": NO_IMAGES,
        "template": "the model's own is used; send the whole prompt with 'raw' instead.",
        "context": "send the conversation to /api/chat instead.",
    }

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    raw: bool = False


class ChatBody(AnswerBody):
    """``POST /api/chat``."""

    messages: list[dict[str, Any]] = Field(default_factory=list)
    tools: list[Any] = Field(default_factory=list)


@router.post("/generate", openapi_extra=request_schema(GenerateBody))
async def generate(request: Request) -> Response:
    """Answer a prompt, carry a text on (``raw``) or fill a gap (``suffix``); without a prompt only load the model."""
    body = await GenerateBody.read(request)
    prompt, system = check_text(body.prompt, "prompt"), check_text(body.system, "system")
    if not prompt:
        return await _load(request, body, {"response": ""})
    messages = (*((Message.of("system", system),) if system else ()), Message.of("user", prompt))
    if suffix := check_text(body.suffix, "suffix"):  # a gap is between two texts, not in a conversation
        generation = body.generation(text=prompt, suffix=suffix)
    else:
        generation = body.generation(text=prompt) if body.raw else body.generation(messages=messages)
    return await _answer(request, body, generation, lambda piece: {"response": piece.text} | piece.extras)


@router.post("/chat", openapi_extra=request_schema(ChatBody))
async def chat(request: Request) -> Response:
    """Answer a conversation, or carry on its last message where that is the assistant's."""
    body = await ChatBody.read(request)
    messages = parse_messages(body.messages)
    if not messages:
        return await _load(request, body, {"message": {"role": "assistant", "content": ""}})
    is_begun = messages[-1].role == "assistant" and not messages[-1].calls
    generation = body.generation(messages=messages, continue_last=is_begun, tools=parse_tools(body.tools))

    def say(piece: Piece) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": piece.text} | piece.extras}

    return await _answer(request, body, generation, say)


async def _answer(request: Request, body: AnswerBody, generation: GenerationRequest, say: Say) -> Response:
    began = time.perf_counter()

    async def answer() -> Response:
        model = await serve_model(request, body.name)
        loaded = time.perf_counter()
        events = model.backend.generate(replace(generation, adapter=model.adapter))
        started = await _started(body, events)

        def figures(finished: Finished) -> dict[str, Any]:
            return {
                "done": True,
                "done_reason": finish_reason(finished),
                "total_duration": nanoseconds(time.perf_counter() - began),
                "load_duration": nanoseconds(loaded - began),
                "prompt_eval_count": started.prompt_tokens,
                "prompt_eval_duration": nanoseconds(finished.first_token_seconds),
                "eval_count": finished.completion_tokens,
                "eval_duration": nanoseconds(finished.decode_seconds),
            }

        parser, pieces = AnswerParser(started.syntax, [tool.name for tool in generation.tools]), Pieces()

        async def objects() -> AsyncGenerator[dict[str, Any], None]:
            async for event in events:
                common = {"model": body.model, "created_at": timestamp()}
                if isinstance(event, Delta):
                    piece = pieces.take(parser.feed(event.text))
                    if piece or event.logprobs:
                        yield common | say(piece) | {"done": False} | _logprobs(event.logprobs)
                elif isinstance(event, Finished):
                    rest = pieces.take(parser.finish(), is_last=True)
                    if rest.calls:  # clients look for calls in what comes before the end
                        yield common | say(rest) | {"done": False}
                        rest = Piece()
                    yield common | say(rest) | figures(event)

        if body.stream:
            return Lines(lines(objects()), events)
        return json_response(await _whole(body.model, events, parser, say, figures))

    return await answer_while_connected(request, answer())


async def _started(body: AnswerBody, events: AsyncGenerator[Started | Delta | Finished, None]) -> Started:
    """The first event; a prompt that is refused is an HTTP error, not a broken stream."""
    try:
        started = await anext(events)
    except InvalidParameter as error:
        if error.param != "reasoning_effort":
            raise
        able = "cannot be told not to think" if body.think is False else "does not support thinking so"
        raise InvalidParameter(f"{body.model} {able}; leave 'think' out.", param="think") from None
    assert isinstance(started, Started)
    return started


async def _whole(
    model: str,
    events: AsyncGenerator[Started | Delta | Finished, None],
    parser: AnswerParser,
    say: Say,
    figures: Callable[[Finished], dict[str, Any]],
) -> dict[str, Any]:
    said: list[AnswerEvent] = []
    logprobs: list[TokenLogprob] = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                said += parser.feed(event.text)
                logprobs += event.logprobs or ()
            elif isinstance(event, Finished):
                finished = event
    piece = Pieces().take([*said, *parser.finish()], is_last=True)
    answer = {"model": model, "created_at": timestamp()} | say(piece)
    return answer | figures(finished) | _logprobs(tuple(logprobs))


async def _load(request: Request, body: AnswerBody, nothing: dict[str, Any]) -> Response:
    """What a request without a prompt is for: to load a model, or to unload it."""
    models = request.app.state.models

    async def answer() -> Response:
        if body.unloads:
            name = known_model(models, body.name)
            if (reason := lacking(identity_of(request), "models")) is not None:  # it ends everybody's answers
                raise Refused(reason)
            await models.unload(name)
        else:
            await serve_model(request, body.name)
        reason = "unload" if body.unloads else "load"
        common = {"model": body.model, "created_at": timestamp()}
        return json_response(common | nothing | {"done": True, "done_reason": reason})

    return await answer_while_connected(request, answer())


def _grammar(form: Any) -> Grammar | None:
    if form in (None, ""):
        return None
    if form == "json":
        return Grammar("json_object", param="format")
    if isinstance(form, dict):
        return Grammar("json_schema", json.dumps(form), param="format")
    raise InvalidParameter(f"'format' must be \"json\" or a JSON schema; got {excerpt(form)}.", param="format")


def _logprobs(logprobs: tuple[TokenLogprob, ...] | None) -> dict[str, Any]:
    if not logprobs:
        return {}
    return {
        "logprobs": [
            _logprob(each.token, each.logprob)
            | {"top_logprobs": [_logprob(token, logprob) for _, token, logprob in each.top]}
            for each in logprobs
        ]
    }


def _logprob(token: bytes, logprob: float) -> dict[str, Any]:
    return {"token": token.decode(errors="replace"), "logprob": logprob, "bytes": list(token)}
