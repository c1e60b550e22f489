"""``POST /v1/responses/compact``: a long conversation as a short one, summarised by the model itself."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Request
from pydantic import StringConstraints
from starlette.responses import Response

from myna.chat import Message
from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import EngineError, MynaError, PromptTooLong
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.identity import owner_of
from myna.server.openai.answers import Choice
from myna.server.openai.body import JsonBody, Label, Name, Refusal
from myna.server.openai.connection import database_of, read_json, request_schema
from myna.server.openai.generation import ServedModel, serve_model, unix_seconds
from myna.server.openai.responses.context import (
    Context,
    in_terms_of_responses,
    joined,
    read_context,
    split_turns,
)
from myna.server.openai.responses.items import new_id as new_item_id
from myna.server.openai.responses.items import public
from myna.server.openai.responses.prompt import SUMMARY
from myna.server.openai.responses.types import UNSUPPORTED, ContextBody
from myna.store.pages import new_id

router = APIRouter(prefix="/v1/responses")

ASK = (
    "Summarise our conversation so far for somebody who has to go on with it and has not read it: what was asked, what "
    "was answered and done, names, numbers and decisions, and what is still open. Write the summary alone."
)
SUMMARY_TOKENS = 1024
"""Most tokens of a summary; less where the context is small."""


class CompactBody(JsonBody):
    """What is to be compacted. The summary is written by the model, at temperature 0."""

    unsupported: ClassVar[dict[str, Refusal]] = {
        name: UNSUPPORTED[name] for name in ("image", "prompt_cache_options", "service_tier")
    }

    model: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    input: Any = None
    instructions: str | None = None
    previous_response_id: Name | None = None
    prompt_cache_key: Label | None = None
    prompt_cache_retention: Label | None = None
    service_tier: Literal["auto", "default", "flex"] = "auto"

    @property
    def context_body(self) -> ContextBody:
        """As the request for a response that is about the same."""
        return ContextBody.model_construct(
            model=self.model,
            input=self.input,
            instructions=self.instructions,
            previous_response_id=self.previous_response_id,
            conversation=None,
        )


@dataclass(slots=True)
class _Used:
    """Tokens of all that was generated for one compaction."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0


@router.post("/compact", openapi_extra=request_schema(CompactBody))
async def compact_conversation(request: Request) -> Response:
    """Summarise a conversation; what comes back goes into the ``input`` of the next response instead of it."""
    body = CompactBody.parse(await read_json(request))

    async def answer() -> Response:
        context = await read_context(database_of(request), owner_of(request), body.context_body)
        model = await serve_model(request, body.model)
        backend = replace(model.backend, background=model.backend.background or body.service_tier == "flex")
        used = _Used()
        try:
            summary = await _summarise(replace(model, backend=backend), context, used)
        except MynaError as error:
            raise in_terms_of_responses(error) from None
        said = [public(item) for item in (*context.before, *context.given) if item.get("role") == "user"]
        compaction = {"id": new_item_id("compaction"), "type": "compaction", "encrypted_content": summary}
        return json_response(
            {
                "id": new_id("resp_"),
                "object": "response.compaction",
                "created_at": unix_seconds(),
                "output": [*said, compaction],
                "usage": {
                    "input_tokens": used.prompt,
                    "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
                    "output_tokens": used.completion,
                    "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": used.prompt + used.completion,
                },
            }
        )

    return await answer_while_connected(request, answer())


async def _summarise(model: ServedModel, context: Context, used: _Used) -> str:
    """A summary of all; what does not fit into the model's context is summarised in pieces, each with those before it.

    Raises:
        PromptTooLong: one turn alone does not fit.
        EngineError: the model wrote nothing.
    """
    head, turns = split_turns(context.messages)
    room = min(SUMMARY_TOKENS, model.description.context // 4)
    summary: str | None = None
    while True:
        before = head if summary is None else (*head, Message.of("system", SUMMARY + summary))
        count = await _fitting(model, before, turns, room)
        summary = await _write(model, _request(before, turns[:count], room), used)
        if not turns[count:]:
            return summary
        turns = turns[count:]


def _request(head: tuple[Message, ...], turns: list[tuple[Message, ...]], room: int) -> GenerationRequest:
    return GenerationRequest(
        id=new_id("cmp_"),
        params=SamplingParams(max_tokens=room, temperature=0.0),
        messages=(*joined(head, turns), Message.of("user", ASK)),
    )


async def _fitting(model: ServedModel, head: tuple[Message, ...], turns: list[tuple[Message, ...]], room: int) -> int:
    """How many turns fit from the first on, with room for their summary."""

    async def fits(count: int) -> bool:
        try:
            tokens = len(await model.backend.encode_prompt(_request(head, turns[:count], room)))
        except PromptTooLong:
            if count <= 1:
                raise
            return False
        return tokens + room <= model.description.context or count <= 1

    if await fits(len(turns)):
        return len(turns)
    fewest, most = 1, len(turns)
    await fits(1)
    while most - fewest > 1:  # `fewest` fit, `most` do not
        middle = (fewest + most) // 2
        fewest, most = (middle, most) if await fits(middle) else (fewest, middle)
    return fewest


async def _write(model: ServedModel, request: GenerationRequest, used: _Used) -> str:
    choice = Choice()
    async with aclosing(model.backend.generate(request)) as events:
        async for event in events:
            choice.take(event)
    assert choice.started is not None
    assert choice.finished is not None
    used.prompt += choice.started.prompt_tokens
    used.cached += choice.started.cached_tokens
    used.completion += choice.finished.completion_tokens
    summary = "".join(choice.text).strip()
    if not summary:
        raise EngineError("The model wrote no summary; try again, or with another model.")
    return summary
