"""Chat completions that were asked to be stored: keep, list, get, relabel and delete them.

``store: true`` keeps a completion when it is whole, with the messages that it answers, in one transaction; nothing is
kept unasked, and nothing that is kept expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.errors import StoreError
from myna.server.errors import describe, json_response, status_of
from myna.server.identity import owner_of
from myna.server.openai.answers import Choice
from myna.server.openai.body import Metadata, MetadataBody
from myna.server.openai.connection import database_of, read_json, request_schema
from myna.server.openai.pages import OrderedPageQuery, list_response, query_schema
from myna.server.openai.texts import check_texts
from myna.server.openai.types import ChatCompletionBody
from myna.store import completions
from myna.store.pages import Order

router = APIRouter()

SHOWN = (
    "tools",
    "tool_choice",
    "response_format",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
)
"""What a stored completion repeats of its request."""
MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content")
"""What is kept of a message; all else says nothing to a model."""


class CompletionListQuery(OrderedPageQuery):
    """``GET /v1/chat/completions``. ``metadata`` as ``metadata[key]=value``: all of them must be there."""

    order: Order = "asc"
    model: str | None = None
    metadata: Metadata | None = None


class MessageListQuery(OrderedPageQuery):
    """``GET /v1/chat/completions/{completion_id}/messages``."""

    order: Order = "asc"


class Keeper:
    """Keeps the completion of one request, in its caller's name.

    Raises:
        InvalidParameter: what is to be kept holds half a character, so it could not be shown again.
    """

    def __init__(self, request: Request, body: ChatCompletionBody) -> None:
        self.database = database_of(request)
        self.owner = owner_of(request)
        self.asked = {name: getattr(body, name) for name in SHOWN} | {
            "input_user": body.user,
            "service_tier": body.tier,
            "metadata": body.metadata or {},
        }
        self.messages = [
            {name: message[name] for name in MESSAGE_FIELDS if message.get(name) is not None}
            for message in body.messages
        ]
        check_texts([self.asked, self.messages])

    async def keep(self, completion: dict[str, Any], choices: Sequence[Choice]) -> StoreError | None:
        """Store it, with what was asked; why it could not be, and then nothing of it is."""
        started = choices[0].started
        shown = completion | self.asked | {"seed": None if started is None else started.seed}
        try:
            async with self.database.write(self.owner) as scope:
                await completions.add(scope, shown, self.messages)
        except StoreError as error:
            return error
        return None


def failed_response(error: StoreError, completion: dict[str, Any]) -> Response:
    """An error, since what was asked for was not done, that carries the answer, since that was paid for.

    The official client would send any other 5xx again, and have the answer made twice more.
    """
    return json_response(describe(error) | {"completion": completion}, status_of(error), {"x-should-retry": "false"})


@router.get("/v1/chat/completions", openapi_extra=query_schema(CompletionListQuery))
async def list_completions(request: Request) -> Response:
    """List stored chat completions."""
    query = CompletionListQuery.parse(request)
    async with database_of(request).read(owner_of(request)) as scope:
        page = await completions.listed(scope, query.wanted, query.model, query.metadata)
    return list_response(page, lambda completion: completion)


@router.get("/v1/chat/completions/{completion_id}")
async def get_completion(request: Request, completion_id: str) -> Response:
    """Get a stored chat completion."""
    async with database_of(request).read(owner_of(request)) as scope:
        return json_response(await completions.get(scope, completion_id))


@router.post("/v1/chat/completions/{completion_id}", openapi_extra=request_schema(MetadataBody))
async def update_completion(request: Request, completion_id: str) -> Response:
    """Replace the metadata of a stored chat completion."""
    metadata = MetadataBody.parse(await read_json(request)).metadata
    async with database_of(request).write(owner_of(request)) as scope:
        return json_response(await completions.update(scope, completion_id, metadata))


@router.delete("/v1/chat/completions/{completion_id}")
async def delete_completion(request: Request, completion_id: str) -> Response:
    """Delete a stored chat completion."""
    async with database_of(request).write(owner_of(request)) as scope:
        await completions.delete(scope, completion_id)
    return json_response({"id": completion_id, "object": "chat.completion.deleted", "deleted": True})


@router.get("/v1/chat/completions/{completion_id}/messages", openapi_extra=query_schema(MessageListQuery))
async def list_messages(request: Request, completion_id: str) -> Response:
    """List the messages that a stored chat completion answers."""
    wanted = MessageListQuery.parse(request).wanted
    async with database_of(request).read(owner_of(request)) as scope:
        page = await completions.messages(scope, completion_id, wanted)
    return list_response(page, lambda item: _message(*item))


def _message(message_id: str, message: dict[str, Any]) -> dict[str, Any]:
    """A message as it is listed: its text in one piece, and the parts if it was sent in parts."""
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    text = content if parts is None else "".join(part["text"] for part in parts)
    return {"id": message_id} | message | {"content": text, "content_parts": parts, "name": message.get("name")}
