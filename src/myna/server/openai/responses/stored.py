"""Stored responses: get, follow, cancel, delete, and what they were given."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from myna.errors import InvalidParameter
from myna.server.connected import answer_while_connected
from myna.server.errors import excerpt, json_response
from myna.server.identity import owner_of
from myna.server.openai.pages import OrderedPageQuery, Query, list_response, query_schema
from myna.server.openai.responses.create import ResponseStream
from myna.server.openai.responses.frames import FrameWriter
from myna.server.openai.responses.items import Item, public
from myna.server.openai.responses.service import ResponseService
from myna.server.openai.responses.types import check_include
from myna.store.pages import Page, PageRequest

router = APIRouter(prefix="/v1/responses")


class RetrieveQuery(Query):
    """``starting_after`` is the number of the last event that is known. Logprobs are there if they were asked for."""

    stream: bool = False
    starting_after: Annotated[int, Field(ge=0, le=2**53)] | None = None
    include: list[str] | None = None
    include_obfuscation: bool = False


class InputItemsQuery(OrderedPageQuery):
    """A page of what a response was given."""

    include: list[str] | None = None


@router.get("/{response_id}", openapi_extra=query_schema(RetrieveQuery))
async def retrieve_response(request: Request, response_id: str) -> Response:
    """A stored response, or its events after a given one, those to come included."""
    query = RetrieveQuery.parse(request)
    check_include(query.include)
    if not query.stream:
        for name in ("starting_after", "include_obfuscation"):
            if getattr(query, name):
                raise InvalidParameter(f"'{name}' is allowed only with 'stream': true.", param=name)
        return json_response(await _service(request).get(owner_of(request), response_id))
    after = -1 if query.starting_after is None else query.starting_after
    writer = FrameWriter(max(after, 0))
    frames = await _service(request).follow(
        owner_of(request), response_id, after, padded=query.include_obfuscation, writer=writer
    )
    return ResponseStream(frames, frames, writer)


@router.delete("/{response_id}")
async def delete_response(request: Request, response_id: str) -> Response:
    """Delete a stored response with its items; one that runs in background ends."""
    await _service(request).delete(owner_of(request), response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


@router.post("/{response_id}/cancel")
async def cancel_response(request: Request, response_id: str) -> Response:
    """End a response that runs in background, with what it has."""

    async def cancelled() -> Response:
        return json_response(await _service(request).cancel(owner_of(request), response_id))

    return await answer_while_connected(request, cancelled())


@router.get("/{response_id}/input_items", openapi_extra=query_schema(InputItemsQuery))
async def list_input_items(request: Request, response_id: str) -> Response:
    """The items that a response was given, with those of the responses that it goes on from."""
    query = InputItemsQuery.parse(request)
    check_include(query.include)
    items = await _service(request).given(owner_of(request), response_id)
    return list_response(_page(items, query.wanted), public)


def _service(request: Request) -> ResponseService:
    service: ResponseService = request.app.state.responses
    return service


def _page(items: list[Item], wanted: PageRequest) -> Page[Item]:
    ordered: list[Any] = items if wanted.order == "asc" else items[::-1]
    if wanted.after is not None:
        place = next((index for index, item in enumerate(ordered) if item["id"] == wanted.after), None)
        if place is None:
            raise InvalidParameter(f"'after' {excerpt(wanted.after)} is none of the items.", param="after")
        ordered = ordered[place + 1 :]
    return Page(ordered[: wanted.limit], len(ordered) > wanted.limit)
