"""``POST /api/generate`` and ``/api/chat``: an answer in lines, or whole."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from myna.chat import Message, Role
from myna.engine.request import Delta, Finished, GenerationRequest, Grammar, Started, TokenLogprob
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.models.dialects.answer import AnswerEvent, AnswerParser, Reasoning, Text
from myna.server.errors import excerpt, json_response
from myna.server.limits import MAX_MESSAGES, MAX_TOP_LOGPROBS
from myna.server.ollama.options import sampling
from myna.server.ollama.wire import Body, Lines, create_router, lines, nanoseconds, timestamp
from myna.server.openai.connection import answer_while_connected, request_schema
from myna.server.openai.generation import finish_reason, known_model, serve_model
from myna.server.openai.types import check_text

router = create_router()

Say = Callable[[str, dict[str, str]], dict[str, Any]]
"""Where a piece of an answer stands, with what is thought: beside ``response``, or in ``message``."""

NO_IMAGES = "the models here read text only."
NO_TOOLS = "calls of tools are offered by /v1/chat/completions only."
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


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
            InvalidParameter: an option or the format is malformed.
            UnsupportedParameter: it asks for thoughts.
        """
        if self.think not in (None, False):
            raise UnsupportedParameter(f"{self.model} is not asked to think here; leave 'think' out.", param="think")
        params = sampling(self.name, self.options, self.top_logprobs if self.logprobs else None)
        return GenerationRequest(
            id=f"ollama-{uuid.uuid4().hex}", params=params, grammar=_grammar(self.format), **prompt
        )

    @property
    def unloads(self) -> bool:
        """Whether the model is to be gone at once: it is kept for no time."""
        return self.keep_alive in (0, "0", "0s", "0m", "0h")


class GenerateBody(AnswerBody):
    """``POST /api/generate``."""

    unsupported = {  # noqa: RUF012 - pydantic takes it as the ClassVar that it is in the base
        "images": NO_IMAGES,
        "suffix": "text is not filled into gaps yet.",
        "template": "the model's own is used; send the whole prompt with 'raw' instead.",
        "context": "send the conversation to /api/chat instead.",
    }

    prompt: str = ""
    system: str = ""
    raw: bool = False


class ChatBody(AnswerBody):
    """``POST /api/chat``."""

    unsupported = {"tools": NO_TOOLS}  # noqa: RUF012

    messages: list[dict[str, Any]] = Field(default_factory=list)


@router.post("/generate", openapi_extra=request_schema(GenerateBody))
async def generate(request: Request) -> Response:
    """Answer a prompt, or carry a text on (``raw``); without a prompt the model is only loaded."""
    body = await GenerateBody.read(request)
    prompt, system = check_text(body.prompt, "prompt"), check_text(body.system, "system")
    if not prompt:
        return await _load(request, body, {"response": ""})
    messages = (*((Message.of("system", system),) if system else ()), Message.of("user", prompt))
    generation = body.generation(text=prompt) if body.raw else body.generation(messages=messages)
    return await _answer(request, body, generation, lambda text, thought: {"response": text} | thought)


@router.post("/chat", openapi_extra=request_schema(ChatBody))
async def chat(request: Request) -> Response:
    """Answer a conversation, or carry on its last message where that is the assistant's."""
    body = await ChatBody.read(request)
    messages = _messages(body.messages)
    if not messages:
        return await _load(request, body, {"message": {"role": "assistant", "content": ""}})
    generation = body.generation(messages=messages, continue_last=messages[-1].role == "assistant")

    def say(text: str, thought: dict[str, str]) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text} | thought}

    return await _answer(request, body, generation, say)


async def _answer(request: Request, body: AnswerBody, generation: GenerationRequest, say: Say) -> Response:
    began = time.perf_counter()

    async def answer() -> Response:
        model = await serve_model(request, body.name)
        loaded = time.perf_counter()
        events = model.backend.generate(replace(generation, adapter=model.adapter))
        started = await anext(events)  # a prompt that is refused is an HTTP error, not a broken stream
        assert isinstance(started, Started)

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

        parser = AnswerParser(started.syntax)

        async def objects() -> AsyncGenerator[dict[str, Any], None]:
            async for event in events:
                common = {"model": body.model, "created_at": timestamp()}
                if isinstance(event, Delta):
                    said = parser.feed(event.text)
                    if said or event.logprobs:
                        yield common | say(*_told(said)) | {"done": False} | _logprobs(event.logprobs)
                elif isinstance(event, Finished):
                    yield common | say(*_told(parser.finish())) | figures(event)

        if body.stream:
            return Lines(lines(objects()), events)
        return json_response(await _whole(body.model, events, parser, say, figures))

    return await answer_while_connected(request, answer())


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
    answer = {"model": model, "created_at": timestamp()} | say(*_told([*said, *parser.finish()]))
    return answer | figures(finished) | _logprobs(tuple(logprobs))


def _told(said: Sequence[AnswerEvent]) -> tuple[str, dict[str, str]]:
    """What is said, and what is thought, if anything is."""
    thought = "".join(event.text for event in said if isinstance(event, Reasoning))
    text = "".join(event.text for event in said if isinstance(event, Text))
    return text, {"thinking": thought} if thought else {}


async def _load(request: Request, body: AnswerBody, nothing: dict[str, Any]) -> Response:
    """What a request without a prompt is for: to load a model, or to unload it."""
    models = request.app.state.models

    async def answer() -> Response:
        if body.unloads:
            await models.unload(known_model(models, body.name))
        else:
            await serve_model(request, body.name)
        reason = "unload" if body.unloads else "load"
        common = {"model": body.model, "created_at": timestamp()}
        return json_response(common | nothing | {"done": True, "done_reason": reason})

    return await answer_while_connected(request, answer())


def _messages(messages: list[dict[str, Any]]) -> tuple[Message, ...]:
    if len(messages) > MAX_MESSAGES:
        raise InvalidParameter(f"'messages' may hold {MAX_MESSAGES} messages; got {len(messages)}.", param="messages")
    return tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def _message(message: dict[str, Any], where: str) -> Message:
    role, content = message.get("role"), message.get("content") or ""
    for name, reason in (("images", NO_IMAGES), ("tool_calls", NO_TOOLS)):
        if message.get(name):
            raise UnsupportedParameter(f"'{where}.{name}' is not supported: {reason}", param=f"{where}.{name}")
    if role == "tool":
        raise UnsupportedParameter(f"'{where}.role' tool is not supported: {NO_TOOLS}", param=f"{where}.role")
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidParameter(
            f"Invalid value for '{where}.role': {excerpt(role)}; allowed are {', '.join(ROLES)}.", param=f"{where}.role"
        )
    if not isinstance(content, str):
        raise InvalidParameter(f"'{where}.content' must be a text; got {excerpt(content)}.", param=f"{where}.content")
    return Message.of(ROLES[role], check_text(content, f"{where}.content"))


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
