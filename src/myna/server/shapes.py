"""Errors of routes that speak another API than OpenAI's: translated as all are, then put into that API's shape."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from myna.errors import MynaError
from myna.server.errors import describe, json_response, retry_headers, status_of

Shape = Callable[[int, str], Any]
"""From status and message to the body of an answer."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def shaped(shape: Shape) -> type[APIRoute]:
    """A class of routes whose errors have this shape; for `fastapi.APIRouter`'s ``route_class``."""

    class ShapedRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def handle_shaped(request: Request) -> Response:
                try:
                    return await handle(request)
                except MynaError as error:
                    status = status_of(error)
                    body = shape(status, describe(error)["error"]["message"])
                    return json_response(body, status, retry_headers(status))
                except HTTPException as error:  # a body that is too large
                    return json_response(shape(error.status_code, str(error.detail)), error.status_code)

            return handle_shaped

    return ShapedRoute
