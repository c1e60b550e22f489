"""``/v1/webhook_endpoints`` and ``/v1/webhook_event_types``: where events are sent, and which there are."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints, field_validator
from starlette.responses import Response

from myna.errors import RequestError, UnsupportedParameter
from myna.server.errors import json_response
from myna.server.identity import identity_of, owner_of
from myna.server.openai.body import JsonBody
from myna.server.openai.connection import read_json, request_schema
from myna.server.openai.pages import PageQuery, list_response, query_schema
from myna.server.webhooks import EVENT_TYPES, WebhookService
from myna.server.webhooks.sender import SendFailed
from myna.server.webhooks.signing import hint, new_secret
from myna.server.webhooks.targets import MAX_URL_LENGTH, parse_target
from myna.store import audit, webhooks
from myna.store.pages import new_id
from myna.store.records import now
from myna.store.scope import Scope
from myna.store.webhooks import Endpoint

router = APIRouter(prefix="/v1")

MAX_ENDPOINTS = 100
OLD_SECRET_SECONDS = 24 * 3600
ELSEWHERE = ("agent.", "eval.", "fine_tuning.", "live.", "realtime.", "safety.", "video.")
"""Beginnings of OpenAI's other event types: of things that are not here."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, strip_whitespace=True)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)]
EventType = Annotated[str, Field(json_schema_extra={"enum": list(EVENT_TYPES)})]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=64)]


class NewEndpoint(JsonBody):
    """Where to send which events."""

    name: Name
    url: Url
    event_types: EventTypes

    @field_validator("event_types")
    @classmethod
    def _known(cls, event_types: list[str]) -> list[str]:
        return [check_event_type(each, "event_types") for each in dict.fromkeys(event_types)]


class ChangedEndpoint(JsonBody):
    """What to change; ``event_types`` are all that are wanted from then on."""

    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None

    @field_validator("event_types")
    @classmethod
    def _known(cls, event_types: list[str] | None) -> list[str] | None:
        return event_types and [check_event_type(each, "event_types") for each in dict.fromkeys(event_types)]


class Rotation(JsonBody):
    """Whether the secret from before signs beside the new one for a day."""

    keep_old_secret_active_for_24_hours: bool = False


class Trial(JsonBody):
    """Of which type to send a sample."""

    event_type: EventType

    @field_validator("event_type")
    @classmethod
    def _known(cls, event_type: str) -> str:
        return check_event_type(event_type, "event_type")


@router.get("/webhook_event_types")
async def list_event_types() -> Response:
    """What an endpoint may be told of."""
    return json_response({"object": "list", "data": EVENT_TYPES})


@router.post("/webhook_endpoints", openapi_extra=request_schema(NewEndpoint))
async def create_endpoint(request: Request) -> Response:
    """Have events sent to a URL. The secret that signs them is shown in this answer only."""
    body = NewEndpoint.parse(await read_json(request))
    private = may_be_private(request)
    parse_target(body.url, private=private)
    at = now()
    endpoint = Endpoint(
        new_id("we_"), body.name, body.url, tuple(body.event_types), new_secret(), None, None, private, at, at
    )
    async with service_of(request).database.write(owner_of(request)) as scope:
        if await webhooks.count(scope) >= MAX_ENDPOINTS:
            raise RequestError(f"You have {MAX_ENDPOINTS} webhook endpoints already; delete one.")
        await webhooks.add(scope, endpoint)
        await _record(request, scope, "webhook.create", endpoint)
    return json_response(endpoint_object(endpoint) | {"signing_secret": endpoint.secret})


@router.get("/webhook_endpoints", openapi_extra=query_schema(PageQuery))
async def list_endpoints(request: Request) -> Response:
    """List your webhook endpoints."""
    wanted = PageQuery.parse(request).wanted
    async with service_of(request).database.read(owner_of(request)) as scope:
        return list_response(await webhooks.listed(scope, wanted), endpoint_object)


@router.get("/webhook_endpoints/{endpoint_id}")
async def retrieve_endpoint(request: Request, endpoint_id: str) -> Response:
    """One webhook endpoint."""
    return json_response(endpoint_object(await _endpoint(request, endpoint_id)))


@router.post("/webhook_endpoints/{endpoint_id}", openapi_extra=request_schema(ChangedEndpoint))
async def update_endpoint(request: Request, endpoint_id: str) -> Response:
    """Change a webhook endpoint; what was not yet delivered goes to its new URL."""
    body = ChangedEndpoint.parse(await read_json(request))
    values: dict[str, Any] = {name: value for name, value in body.model_dump().items() if value is not None}
    if body.url is not None:
        values["private"] = may_be_private(request)
        parse_target(body.url, private=values["private"])
    async with service_of(request).database.write(owner_of(request)) as scope:
        endpoint = await webhooks.get(scope, endpoint_id)
        current = endpoint_object(endpoint)
        if any(current[name] != value for name, value in values.items() if name != "private"):
            endpoint = await webhooks.update(scope, endpoint_id, **values, updated_at=now())
            await _record(request, scope, "webhook.change", endpoint)
    return json_response(endpoint_object(endpoint))


@router.delete("/webhook_endpoints/{endpoint_id}")
async def delete_endpoint(request: Request, endpoint_id: str) -> Response:
    """Delete a webhook endpoint, with what was not yet delivered to it."""
    async with service_of(request).database.write(owner_of(request)) as scope:
        endpoint = await webhooks.get(scope, endpoint_id)
        await webhooks.remove(scope, endpoint_id)
        await _record(request, scope, "webhook.delete", endpoint)
    return json_response({"id": endpoint_id, "object": "webhook_endpoint.deleted", "deleted": True})


@router.post("/webhook_endpoints/{endpoint_id}/rotate_secret", openapi_extra=request_schema(Rotation))
async def rotate_secret(request: Request, endpoint_id: str) -> Response:
    """Make a new secret, which is shown in this answer only."""
    body = Rotation.parse(await read_json(request) if await request.body() else {})
    at = now()
    async with service_of(request).database.write(owner_of(request)) as scope:
        endpoint = await webhooks.get(scope, endpoint_id)
        kept = body.keep_old_secret_active_for_24_hours
        endpoint = await webhooks.update(
            scope,
            endpoint_id,
            secret=new_secret(),
            old_secret=endpoint.secret if kept else None,
            old_secret_until=at + OLD_SECRET_SECONDS * 1000 if kept else None,
            updated_at=at,
        )
        await _record(request, scope, "webhook.rotate_secret", endpoint)
    return json_response(endpoint_object(endpoint) | {"signing_secret": endpoint.secret})


@router.post("/webhook_endpoints/{endpoint_id}/test", openapi_extra=request_schema(Trial))
async def send_sample(request: Request, endpoint_id: str) -> Response:
    """Send a sample event now, and tell what the endpoint answered."""
    body = Trial.parse(await read_json(request))
    endpoint = await _endpoint(request, endpoint_id)
    try:
        status = await service_of(request).test(owner_of(request), endpoint, body.event_type)
    except SendFailed as failed:
        raise RequestError(f"The sample could not be delivered to {endpoint.name!r}: {failed}.", param="url") from None
    return json_response(
        {
            "object": "webhook_endpoint.test",
            "webhook_endpoint_id": endpoint.id,
            "event_type": body.event_type,
            "status_code": status,
            "success": True,
        }
    )


def service_of(request: Request) -> WebhookService:
    """What delivers."""
    service: WebhookService = request.app.state.webhooks
    return service


def may_be_private(request: Request) -> bool:
    """Whether the caller may have events sent into private networks: who runs the server, where it does so at all."""
    return service_of(request).sender.private and identity_of(request).role in ("owner", "admin")


def check_event_type(event_type: str, param: str) -> str:
    """A type that an endpoint may be told of.

    Raises:
        UnsupportedParameter: OpenAI has it, but what it tells of is not here.
        ValueError: nobody has it; for pydantic to report.
    """
    if event_type.startswith(ELSEWHERE):
        raise UnsupportedParameter(f"Events '{event_type[:60]}' are of what is not here.", param=param)
    if event_type not in EVENT_TYPES:
        raise ValueError(f"must be of {', '.join(EVENT_TYPES)}")
    return event_type


def endpoint_object(endpoint: Endpoint) -> dict[str, Any]:
    """OpenAI's object, without the secret."""
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "created_at": endpoint.created_at // 1000,
        "updated_at": endpoint.updated_at // 1000,
        "event_types": list(endpoint.event_types),
        "name": endpoint.name,
        "signing_secret_hint": hint(endpoint.secret),
        "url": endpoint.url,
    }


async def _record(request: Request, scope: Scope, action: str, endpoint: Endpoint) -> None:
    """Write down what was done. Of its URL the host alone: the rest may be a secret."""
    host = urlsplit(endpoint.url).hostname
    await audit.record(scope, identity_of(request), action, "webhook", endpoint.id, name=endpoint.name, host=host)


async def _endpoint(request: Request, endpoint_id: str) -> Endpoint:
    async with service_of(request).database.read(owner_of(request)) as scope:
        return await webhooks.get(scope, endpoint_id)
