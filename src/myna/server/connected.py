"""Work that is tied to its client's connection: when the client goes, it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from myna.errors import ServerStopping
from myna.server.errors import CLIENT_CLOSED_REQUEST

Result = TypeVar("Result")


class ClientGone(Exception):
    """The connection was closed before its answer was complete."""


async def while_connected(receive: Receive, stopping: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result:
    """Do the work; cancel it as soon as the client is gone or the server must stop.

    Raises:
        ClientGone: the client went first. The work has ended by then.
        ServerStopping: the server stops. The work has ended by then.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    stop = asyncio.ensure_future(stopping.wait())
    tasks = (working, gone, stop)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if gone.done():
            raise ClientGone
        raise ServerStopping("The server is stopping; send the request again when it is back.")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answer_while_connected(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """The answer that the work comes to, or an empty one for nobody when the client has gone."""
    try:
        return await while_connected(request.receive, request.app.state.stopping, work)
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
