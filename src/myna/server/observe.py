"""What surrounds every request: its id, its place in the counters, the log and the traces, and the last resort."""

from __future__ import annotations

import logging
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myna.server.identity import IN_SCOPE
from myna.server.inside import IN_BACKGROUND
from myna.server.logs import FIELDS, harmless
from myna.server.meter import USE_IN_SCOPE, Meter, Use
from myna.server.metrics import UNMATCHED, Metrics
from myna.server.shapes import refusal
from myna.server.tracing import Tracing

access_logger = logging.getLogger("myna.access")
logger = logging.getLogger("myna.server")

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
LONGEST_PATH = 1024


class Observe:
    """ASGI middleware around all that can fail.

    An exception that nothing else translated is a fault of ours: it is logged with the request's id, and the client
    gets a 500 that carries the id and tells nothing else.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, meter: Meter, tracing: Tracing | None) -> None:
        self.app = app
        self.metrics = metrics
        self.meter = meter
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, time and log one HTTP request; pass WebSockets on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope[USE_IN_SCOPE] = use = Use(f"req_{uuid.uuid4().hex}")
        began = time.perf_counter()
        status = 0

        async def observing_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = use.request_id
                if use.limits:
                    headers.update(self.meter.rates.headers(use.limits))
                if not scope.get(IN_BACKGROUND):  # else there is nobody who waits
                    self.metrics.first_byte.labels(_route(scope)).observe(time.perf_counter() - began)
            elif self.tracing is not None and not message.get("more_body", False):
                self.tracing.describe_request(use)  # now: with its last byte the request's span ends
            await send(message)

        try:
            with self.metrics.running.track_inprogress():
                await self.app(scope, receive, observing_send)
        except Exception:
            failed = {FIELDS: {"request_id": use.request_id}}
            logger.exception("%s %s failed", _method(scope), _path(scope), extra=failed)
            if status:
                raise  # the answer has begun: only closing the connection can tell the client
            message = f"The server failed; its log tells more under {use.request_id}."
            await refusal(scope["path"], 500, message, code="internal_error")(scope, receive, observing_send)
        finally:
            self.metrics.requests.labels(_method(scope), _route(scope), str(status)).inc()
            if access_logger.isEnabledFor(logging.INFO):
                _log(scope, use, status, time.perf_counter() - began)


def _log(scope: Scope, use: Use, status: int, seconds: float) -> None:
    """One line for a request that is answered; nothing in it comes from a body."""
    caller = scope.get(IN_SCOPE)
    client_id = Headers(scope=scope).get("x-client-request-id")
    fields = {
        "request_id": use.request_id,
        "client_request_id": None if client_id is None else harmless(client_id),
        "method": _method(scope),
        "route": _route(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "user": None if caller is None else caller.user,
        "key": None if caller is None else caller.key,
        "model": use.model,
    }
    if use.model is not None:
        fields |= {"prompt_tokens": use.prompt_tokens, "completion_tokens": use.completion_tokens}
    access_logger.info("%s %s %d", _method(scope), _path(scope), status, extra={FIELDS: fields})


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", UNMATCHED) or UNMATCHED


def _path(scope: Scope) -> str:
    return harmless(scope["path"], LONGEST_PATH)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else UNMATCHED
