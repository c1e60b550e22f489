"""Pages of other origins that the owner has named (``cors_origins``) may use the API of programs, without cookies.

Nobody else is answered when a browser asks (https://fetch.spec.whatwg.org/#http-cors-protocol). A page that is named
needs a key like any program, where keys are needed: what its user's browser is signed in to is left out of its
requests, and the application's own API stays closed to it.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from myna.server.shapes import OLLAMA_PATHS
from myna.settings import Settings

METHODS = "GET, POST, PATCH, DELETE"
READABLE = ", ".join(
    (
        "x-request-id",
        "retry-after",
        "retry-after-ms",
        *(f"x-ratelimit-{what}-{unit}" for what in ("limit", "remaining", "reset") for unit in ("requests", "tokens")),
    )
)
"""Headers of an answer that a page may read beside the harmless ones."""
PREFLIGHT_SECONDS = 600
"""How long a browser need not ask again."""

_HEADER_NAMES = re.compile(r"[A-Za-z0-9_-]{1,64}(?: ?, ?[A-Za-z0-9_-]{1,64}){0,63}")


class Cors:
    """Which requests come from pages that are named, and what they are answered with."""

    def __init__(self, settings: Settings) -> None:
        self.origins = frozenset(settings.cors_origins)

    def origin(self, scope: Scope, headers: Headers) -> str | None:
        """The origin of a request that a named page makes for the API; None for all other requests."""
        if not self.origins or scope["type"] != "http":
            return None
        origins, path = headers.getlist("origin"), scope["path"]
        if len(origins) != 1 or origins[0] not in self.origins:
            return None
        return origins[0] if path.startswith("/v1/") or path in OLLAMA_PATHS else None

    def preflight(self, scope: Scope, headers: Headers, origin: str) -> Response | None:
        """The answer to a browser that asks what the page may send; None if it asks nothing."""
        if scope["method"] != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        answer = {
            "access-control-allow-methods": METHODS,
            "access-control-max-age": str(PREFLIGHT_SECONDS),
        }
        wanted = headers.get("access-control-request-headers", "")
        if _HEADER_NAMES.fullmatch(wanted):  # clients of APIs send many of their own; none is dangerous here
            answer["access-control-allow-headers"] = wanted
        return Response(status_code=204, headers=answer | _readable_by(origin))

    def without_cookies(self, scope: Scope) -> None:
        """Take out of a request what its user's browser is signed in with."""
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"cookie"]

    def readable(self, send: Send, origin: str) -> Send:
        """A ``send`` whose answers the page may read."""

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_readable_by(origin))
            await send(message)

        return send_readable


def _readable_by(origin: str) -> dict[str, str]:
    return {"access-control-allow-origin": origin, "access-control-expose-headers": READABLE, "vary": "Origin"}
