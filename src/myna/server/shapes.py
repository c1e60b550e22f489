"""Errors in the shape of the API that was asked: OpenAI's, unless the path is one of Anthropic's or Ollama's.

Every refusal passes here, whoever says it: a guard before the routes, a route, the framework. What an error means is
decided in `myna.server.errors`, for all APIs alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from myna.errors import EngineBusy, MynaError, RequestError, StoreError
from myna.server.errors import (
    CLIENT_CLOSED_REQUEST,
    HTTP_CODES,
    error_object,
    error_response,
    excerpt,
    from_validation,
    json_response,
    retry_headers,
    status_of,
)

logger = logging.getLogger("myna.server")

ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
"""Source: https://docs.anthropic.com/en/api/errors."""

OLLAMA_ROUTES = ("version", "tags", "ps", "show", "generate", "chat", "embed", "embeddings", "pull", "delete")
OLLAMA_PATHS = frozenset(f"/api/{route}" for route in OLLAMA_ROUTES)
"""Beside them under ``/api`` lies the application's own API."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How an API that is not OpenAI's tells of errors.

    Attributes:
        body: from status and message to the body of an answer.
        busy: its status where too many requests wait, for which OpenAI has 429.
    """

    body: Callable[[int, str], Any]
    busy: int

    def status(self, error: MynaError) -> int:
        """The status of an error in this API."""
        return self.busy if isinstance(error, EngineBusy) else status_of(error)

    def frame(self, error: MynaError) -> Any:
        """The body that tells of an error, also in the middle of a stream."""
        return self.body(self.status(error), error.told)


def _anthropic(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": ANTHROPIC_TYPES.get(status, "api_error"), "message": message}}


ANTHROPIC = Shape(_anthropic, busy=529)
OLLAMA = Shape(lambda status, message: {"error": message}, busy=503)


def shape_of(path: str) -> Shape | None:
    """The shape of errors under a path; None: OpenAI's."""
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return ANTHROPIC
    return OLLAMA if path in OLLAMA_PATHS else None


def refusal(
    path: str, status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to a fault that no class of the tree describes."""
    shape = shape_of(path)
    body = error_object(message, status, code=code) if shape is None else shape.body(status, message)
    return json_response(body, status, headers)


def failure(path: str, error: MynaError) -> Response:
    """The answer to an error of the tree."""
    shape = shape_of(path)
    if shape is None:
        return error_response(error)
    return json_response(shape.frame(error), shape.status(error), retry_headers(error))


def install(app: FastAPI) -> None:
    """Make every route of the application answer in its API's shape."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, MynaError)
        if isinstance(error, StoreError):
            logger.error("%s %s: %s", request.method, request.url.path, error.message)
        return failure(request.url.path, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return failure(request.url.path, from_validation(error.errors()))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path
        if error.status_code == 404:
            message = f"There is no {request.method} {excerpt(path, 200)} here."
        elif error.status_code == 405:
            message = f"{request.method} is not allowed on {excerpt(path, 200)}."
        else:
            message = str(error.detail)
        code = HTTP_CODES.get(error.status_code, RequestError.code)
        return refusal(path, error.status_code, message, code=code, headers=error.headers)

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    app.add_exception_handler(MynaError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, gone)  # in the middle of its body
