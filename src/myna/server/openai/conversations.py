"""Conversations: lists of items that responses go on from and add to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from myna.errors import UnsupportedParameter
from myna.server.errors import json_response
from myna.server.identity import owner_of
from myna.server.limits import MAX_CONVERSATION_ITEMS
from myna.server.openai.body import JsonBody, Metadata, MetadataBody
from myna.server.openai.connection import database_of, read_json, request_schema
from myna.server.openai.pages import OrderedPageQuery, Query, list_response, query_schema
from myna.server.openai.responses.items import Item, parse_items, public
from myna.server.openai.responses.types import LOGPROBS, check_include
from myna.store import conversations
from myna.store.conversations import Conversation
from myna.store.pages import Page, new_id

router = APIRouter(prefix="/v1/conversations")


class ConversationBody(JsonBody):
    """``POST /v1/conversations``."""

    items: list[Any] = Field(default_factory=list, max_length=MAX_CONVERSATION_ITEMS)
    metadata: Metadata = Field(default_factory=dict)


class ItemsBody(JsonBody):
    """``POST /v1/conversations/{conversation_id}/items``."""

    items: list[Any] = Field(min_length=1, max_length=MAX_CONVERSATION_ITEMS)


class IncludeQuery(Query):
    """What of items is shown only to those who ask for it."""

    include: list[str] = Field(default_factory=list)

    @property
    def render(self) -> Callable[[Item], Item]:
        """How items are shown.

        Raises:
            InvalidParameter, UnsupportedParameter: what cannot be shown; see `check_include`.
        """
        check_include(self.include)
        return lambda item: _shown(item, self.include)


class ItemListQuery(OrderedPageQuery, IncludeQuery):
    """``GET /v1/conversations/{conversation_id}/items``."""


@router.post("", openapi_extra=request_schema(ConversationBody))
async def create_conversation(request: Request) -> Response:
    """Create a conversation."""
    body = ConversationBody.parse(await read_json(request))
    items = _parse(body.items)
    async with database_of(request).write(owner_of(request)) as scope:
        return _response(await conversations.create(scope, new_id("conv_"), body.metadata, items))


@router.get("/{conversation_id}")
async def get_conversation(request: Request, conversation_id: str) -> Response:
    """Get a conversation."""
    async with database_of(request).read(owner_of(request)) as scope:
        return _response(await conversations.get(scope, conversation_id))


@router.post("/{conversation_id}", openapi_extra=request_schema(MetadataBody))
async def update_conversation(request: Request, conversation_id: str) -> Response:
    """Replace the metadata of a conversation."""
    metadata = MetadataBody.parse(await read_json(request)).metadata
    async with database_of(request).write(owner_of(request)) as scope:
        return _response(await conversations.update(scope, conversation_id, metadata))


@router.delete("/{conversation_id}")
async def delete_conversation(request: Request, conversation_id: str) -> Response:
    """Delete a conversation with its items."""
    async with database_of(request).write(owner_of(request)) as scope:
        await conversations.delete(scope, conversation_id)
    return json_response({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


@router.post("/{conversation_id}/items", openapi_extra=request_schema(ItemsBody) | query_schema(IncludeQuery))
async def create_items(request: Request, conversation_id: str) -> Response:
    """Add items to a conversation."""
    render = IncludeQuery.parse(request).render
    items = _parse(ItemsBody.parse(await read_json(request)).items)
    async with database_of(request).write(owner_of(request)) as scope:
        await conversations.append(scope, conversation_id, items)
    return list_response(Page(items, has_more=False), render)


@router.get("/{conversation_id}/items", openapi_extra=query_schema(ItemListQuery))
async def list_items(request: Request, conversation_id: str) -> Response:
    """List the items of a conversation."""
    query = ItemListQuery.parse(request)
    render = query.render
    async with database_of(request).read(owner_of(request)) as scope:
        page = await conversations.items(scope, conversation_id, query.wanted)
    return list_response(page, render)


@router.get("/{conversation_id}/items/{item_id}", openapi_extra=query_schema(IncludeQuery))
async def get_item(request: Request, conversation_id: str, item_id: str) -> Response:
    """Get an item of a conversation."""
    render = IncludeQuery.parse(request).render
    async with database_of(request).read(owner_of(request)) as scope:
        return json_response(render(await conversations.item(scope, conversation_id, item_id)))


@router.delete("/{conversation_id}/items/{item_id}")
async def delete_item(request: Request, conversation_id: str, item_id: str) -> Response:
    """Delete an item of a conversation; answers the conversation."""
    async with database_of(request).write(owner_of(request)) as scope:
        return _response(await conversations.delete_item(scope, conversation_id, item_id))


def _parse(given: list[Any]) -> list[Item]:
    """Items as they are stored. Raises what `parse_items` does."""
    items = parse_items(given, "items")
    for index, item in enumerate(items):
        if item["type"] == "item_reference":
            raise UnsupportedParameter(
                f"'items[{index}].type' item_reference is not supported in a conversation: it keeps items of its own. "
                "Send the item itself.",
                param=f"items[{index}].type",
            )
    return items


def _shown(item: Item, include: Collection[str]) -> Item:
    """An item as clients see it; log-probabilities of what a model said only where they were asked for."""
    shown = public(item)
    if LOGPROBS in include or shown.get("role") != "assistant":
        return shown
    return shown | {"content": [part | {"logprobs": []} if part.get("logprobs") else part for part in shown["content"]]}


def _response(conversation: Conversation) -> Response:
    return json_response(
        {
            "id": conversation.id,
            "object": "conversation",
            "created_at": conversation.created_at // 1000,
            "metadata": conversation.metadata,
        }
    )
