"""Requests with JSON, and streams that are tied to their connection: when the client goes, the work is cancelled.

Cancelling closes the backend's iterator, which cancels the request in the engine: generation stops within a step and
its blocks are free again.
"""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from myna.errors import InvalidParameter, MynaError, ServerStopping
from myna.server.connected import ClientGone, while_connected
from myna.server.limits import MAX_NAMES, MAX_NESTING
from myna.server.openai.sse import error_frame
from myna.store.database import Database


def database_of(request: Request) -> Database:
    """The server's database, which its lifespan has opened."""
    database: Database = request.app.state.database
    return database


async def read_json(request: Request) -> Any:
    """The request's body as plain data.

    Raises:
        InvalidParameter: not UTF-8, not JSON, nested too deeply, or with an object of too many names.
    """
    body = await request.body()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"The body is not valid UTF-8: {error.reason} at byte {error.start}.") from None
    try:
        with _no_collection():
            value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidParameter(
            f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise InvalidParameter(f"The body is nested deeper than {MAX_NESTING} levels.") from None
    except ValueError:  # Python bounds what it converts
        raise InvalidParameter("The body holds a number of thousands of digits.") from None
    _check_shape(value)
    return value


def request_schema(model: type[BaseModel]) -> dict[str, Any]:
    """What a route adds to the OpenAPI document, as the body is read here and not by the framework."""
    schema = {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}
    return {"requestBody": schema}


class EventStream(Response):
    """Server-sent events from a generator of ready-made frames, for as long as the client listens.

    ``source`` is what the frames are made from; it is closed in any case, also when no frame was ever asked for.
    Other APIs' streams are subclasses with a media type and a `failure_frame` of their own.
    """

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[bytes, None], source: AsyncGenerator[Any, None]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self.frames = frames
        self.source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and frames; return quietly when the client has gone."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                await while_connected(receive, scope["app"].state.stopping, self._send_frames(send))
            except ServerStopping as error:
                await send({"type": "http.response.body", "body": self.failure_frame(error), "more_body": False})
        except (ClientGone, OSError):
            return
        finally:
            await self.frames.aclose()
            await self.source.aclose()

    def failure_frame(self, error: MynaError) -> bytes:
        """What the stream ends with when the server must stop."""
        return error_frame(error)

    async def _send_frames(self, send: Send) -> None:
        async for frame in self.frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _refuse_constant(name: str) -> None:
    raise InvalidParameter(f"The body is not valid JSON: {name} is no JSON number.")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage: while millions of objects are made, all of which stay, that would take most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _check_shape(value: Any) -> None:
    """Later steps walk the data by recursion (messages quote it), so its depth is bounded here, without any."""
    level = [value]
    for _ in range(MAX_NESTING):
        for container in level:
            if isinstance(container, dict) and len(container) > MAX_NAMES:
                raise InvalidParameter(f"An object in the body has more than {MAX_NAMES} names.")
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    raise InvalidParameter(f"The body is nested deeper than {MAX_NESTING} levels.")
