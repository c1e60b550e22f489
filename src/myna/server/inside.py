"""Calls of the application from within its own process: the same routes, checks and errors, without a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from myna.server.identity import IN_SCOPE, Identity

IN_BACKGROUND = "myna.background"
"""Key of the ASGI scope: whether nobody waits for the answer. Nothing that comes over the network can put it there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client would have got."""

    status: int
    headers: Headers
    body: bytes

    @property
    def request_id(self) -> str:
        """By which the log knows the request."""
        return self.headers["x-request-id"]


async def call(app: ASGIApp, caller: Identity, path: str, body: bytes, *, background: bool = False) -> Answer:
    """Post a body of JSON in a caller's name. Cancelling the task cancels the work, as a client does that goes.

    Args:
        app: with everything that wraps its routes.
        caller: whose request it is; nothing else is asked for.
        path: below which there is a route for POST.
        body: UTF-8.
        background: whether it gives way to requests that somebody waits for.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": None,
        "server": None,
        "state": {},
        IN_SCOPE: caller,
        IN_BACKGROUND: background,
    }
    to_send = [body]
    received: list[Message] = []

    async def receive() -> Message:
        if to_send:
            return {"type": "http.request", "body": to_send.pop(), "more_body": False}
        await asyncio.get_running_loop().create_future()  # this client never goes by itself
        raise AssertionError("a future that nobody sets")

    async def send(message: Message) -> None:
        received.append(message)

    await app(scope, receive, send)
    head, *parts = received
    return Answer(head["status"], Headers(raw=head["headers"]), b"".join(part.get("body", b"") for part in parts))
