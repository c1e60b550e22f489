"""Who may use the server: everyone on this machine, and beyond it whoever has the key.

There are no accounts yet. So a server bound to a loopback address is open to this machine's user, as his files are;
bound anywhere else it starts only with an API key, asks for it on every route but ``/healthz``, and does not offer
the web application and its own API, which know no users. A key that is set is asked for on loopback as well, by the
OpenAI API and the metrics.
"""

from __future__ import annotations

import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from myna.server.binding import is_loopback
from myna.server.errors import plain_error
from myna.server.identity import IN_SCOPE, LOCAL
from myna.settings import Settings

OPEN_PATHS = ("/healthz",)
OLLAMA_PATHS = ("version", "tags", "ps", "show", "generate", "chat", "embed", "embeddings", "pull", "delete")
KEYED_PATHS = ("/v1", "/metrics", "/openapi.json", *(f"/api/{path}" for path in OLLAMA_PATHS))
"""What programs use: OpenAI's and Anthropic's API, Ollama's beside the application's own, and the metrics."""


class KeyGuard:
    """ASGI middleware that asks for ``Authorization: Bearer KEY`` or ``X-Api-Key: KEY`` where a key is set."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.local = is_loopback(settings.host)
        key = settings.api_key
        self.digest = None if key is None else _digest(key.get_secret_value())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 401 (no or wrong key) or 403 (not offered here)."""
        if scope["type"] != "lifespan":
            scope.setdefault(IN_SCOPE, LOCAL)
        if scope["type"] == "lifespan" or self.digest is None or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        keyed = any(scope["path"] == path or scope["path"].startswith(path + "/") for path in KEYED_PATHS)
        if not keyed and self.local:
            await self.app(scope, receive, send)
            return
        if keyed and self._knows(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "Not offered to other machines."})
            return
        if keyed:
            response = plain_error(
                401, "A valid API key is needed: send it as 'Authorization: Bearer KEY'.", code="invalid_api_key"
            )
            response.headers["www-authenticate"] = "Bearer"
        else:
            response = plain_error(
                403,
                "The web application is offered on this machine only, until there are accounts; "
                "from elsewhere use the OpenAI API under /v1.",
                code="refused",
            )
        await response(scope, receive, send)

    def _knows(self, headers: Headers) -> bool:
        """Whether the key is right: a bearer token, or where Anthropic's clients put it."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        assert self.digest is not None
        return hmac.compare_digest(_digest(given.strip()), self.digest)


def _digest(key: str) -> bytes:
    """Keys are compared as hashes of one length, so that time tells nothing about them."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
