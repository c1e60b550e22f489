"""``/v1/batches``: make, retrieve, list and cancel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt, json_response
from myna.server.identity import identity_of, owner_of
from myna.server.openai.batches.job import MODERATIONS
from myna.server.openai.batches.service import BatchService
from myna.server.openai.body import JsonBody, Metadata
from myna.server.openai.connection import read_json, request_schema
from myna.server.openai.files import ExpiresAfterField
from myna.server.openai.pages import PageQuery, list_response, query_schema
from myna.store.batches import StoredBatch

router = APIRouter(prefix="/v1/batches")

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", MODERATIONS)
ELSEWHERE = {
    "/v1/images/generations": "there are no models that make images yet",
    "/v1/images/edits": "there are no models that make images yet",
    "/v1/videos": "there are no models that make videos yet",
}
"""What OpenAI takes besides, and why it is refused."""


class BatchBody(JsonBody):
    """A request for a batch. ``output_expires_after`` counts from when each of its files is made."""

    input_file_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    endpoint: Annotated[str, Field(json_schema_extra={"enum": list(ENDPOINTS)})]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: ExpiresAfterField | None = None

    def check_endpoint(self) -> None:
        """Whether requests for the endpoint can be batched.

        Raises:
            UnsupportedParameter: OpenAI's could.
            InvalidParameter: nobody's could.
        """
        if self.endpoint in ELSEWHERE:
            reason = ELSEWHERE[self.endpoint]
            raise UnsupportedParameter(f"Endpoint '{self.endpoint}' is not available here: {reason}.", param="endpoint")
        if self.endpoint not in ENDPOINTS:
            raise InvalidParameter(
                f"Invalid value for 'endpoint': must be one of {', '.join(ENDPOINTS)}; got {excerpt(self.endpoint)}.",
                param="endpoint",
            )


@router.post("", openapi_extra=request_schema(BatchBody))
async def create_batch(request: Request) -> Response:
    """Have a file of requests answered, at low priority."""
    body = BatchBody.parse(await read_json(request))
    body.check_endpoint()
    batch = await _service(request).create(
        identity_of(request),
        input_file_id=body.input_file_id,
        endpoint=body.endpoint,
        completion_window=body.completion_window,
        metadata=body.metadata,
        keep_seconds=None if body.output_expires_after is None else body.output_expires_after.seconds,
    )
    return json_response(batch_object(batch))


@router.get("", openapi_extra=query_schema(PageQuery))
async def list_batches(request: Request) -> Response:
    """List your batches."""
    page = await _service(request).listed(owner_of(request), PageQuery.parse(request).wanted)
    return list_response(page, batch_object)


@router.get("/{batch_id}")
async def retrieve_batch(request: Request, batch_id: str) -> Response:
    """How far a batch has come."""
    return json_response(batch_object(await _service(request).get(owner_of(request), batch_id)))


@router.post("/{batch_id}/cancel")
async def cancel_batch(request: Request, batch_id: str) -> Response:
    """Stop a batch; what is answered already is kept."""
    return json_response(batch_object(await _service(request).cancel(owner_of(request), batch_id)))


def batch_object(batch: StoredBatch) -> dict[str, Any]:
    """OpenAI's batch object."""
    times = {
        name: None if (at := getattr(batch, name)) is None else at // 1000
        for name in (
            "created_at",
            "in_progress_at",
            "expires_at",
            "finalizing_at",
            "completed_at",
            "failed_at",
            "expired_at",
            "cancelling_at",
            "cancelled_at",
        )
    }
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": None if batch.errors is None else {"object": "list", "data": batch.errors},
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        **times,
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": _usage(batch.usage or {}),
        "metadata": batch.metadata,
    }


def _usage(tokens: dict[str, int]) -> dict[str, Any]:
    taken, given = tokens.get("input", 0), tokens.get("output", 0)
    return {
        "input_tokens": taken,
        "input_tokens_details": {"cached_tokens": tokens.get("cached", 0)},
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": tokens.get("reasoning", 0)},
        "total_tokens": taken + given,
    }


def _service(request: Request) -> BatchService:
    service: BatchService = request.app.state.batches
    return service
