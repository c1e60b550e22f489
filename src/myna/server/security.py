"""What keeps other web pages away from a local server, as pure ASGI middleware.

Any page that a user visits can send requests to ``localhost``, and with a host name of its own that resolves to a
loopback address (DNS rebinding) can even read the answers. Three checks stop both: the Host header must be a name
of this server; the Origin of a request that changes something, and of every WebSocket, must be this server; and a
body must be declared as JSON, which a page cannot do across origins without asking first, and nobody here says yes
to that question, but to pages that the owner has named (`myna.server.cors`); `myna.server.bodies` has the few routes
that take files. docs/security.md tells the whole story.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myna.server.binding import is_loopback
from myna.server.bodies import BodyRule, BodyRules, media_type
from myna.server.cors import Cors
from myna.server.limits import BODY_BYTES_A_SECOND, BODY_SECONDS
from myna.server.shapes import refusal
from myna.settings import Settings

TOO_SLOW = "The body came too slowly, or stopped coming. Send the request again."
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",  # mathematics is laid out by style attributes; they cannot run or fetch
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

ADDED_HEADERS = tuple(
    (name.encode(), value.encode()) for name, value in (SECURITY_HEADERS | {"cache-control": "no-store"}).items()
)
"""As they are sent."""

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


def host_name(header: str) -> str | None:
    """The name or address of a Host header, without port and brackets, in lower case; None when malformed."""
    match = _HOST.fullmatch(header)
    return match["name"].strip("[]").lower().removesuffix(".") if match else None


class BrowserGuard:
    """Refuse unknown host names, foreign origins, undeclared and oversized bodies.

    On a loopback address the host must be a loopback name or one of ``settings.allowed_hosts``; its port is free,
    because tunnels and containers map it, and a page's origin is compared with name and port. Bound elsewhere, an
    address is a host too (a rebound name never is one), and the API key stands behind.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.local = is_loopback(settings.host)
        self.bodies = BodyRules(settings)
        self.cors = Cors(settings)
        self.hosts = frozenset(host.strip("[]").lower() for host in (*settings.allowed_hosts, settings.host))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not: 403, 413 or 415; a WebSocket is closed before it opens."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = self._refuse_host(headers)
        if not reason and (origin := self.cors.origin(scope, headers)) is not None:
            if (answer := self.cors.preflight(scope, headers, origin)) is not None:
                await answer(scope, receive, send)
                return
            self.cors.without_cookies(scope)
            send = self.cors.readable(send, origin)
        else:
            reason = reason or self._refuse_origin(scope, headers)
        if scope["type"] == "websocket":
            if reason:
                await send({"type": "websocket.close", "code": 1008, "reason": "Host or Origin refused."})
                return
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        rule = self.bodies.of(scope["method"], path)
        if reason:
            response = refusal(path, 403, reason, code="refused")
        elif _too_large(headers, rule):
            response = refusal(path, 413, rule.too_large, code="content_too_large")
        elif scope["method"] not in SAFE_METHODS and rule.media_type not in (None, media_type(headers)):
            response = refusal(path, 415, rule.undeclared, code="unsupported_media_type")
        else:
            await self.app(scope, _bounded(receive, rule), send)
            return
        response.headers["connection"] = "close"  # an unread body must not be taken for the next request
        await response(scope, receive, send)

    def _refuse_host(self, headers: Headers) -> str | None:
        hosts = headers.getlist("host")
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is not None and (is_loopback(name) or name in self.hosts or (not self.local and _is_address(name))):
            return None
        return (
            f"Host {', '.join(hosts)[:100]!r} is not a name of this server. Use localhost, or list the name in "
            "MYNA_ALLOWED_HOSTS."
        )

    def _refuse_origin(self, scope: Scope, headers: Headers) -> str | None:
        """A browser sends Origin with every request that could change something; other programs send none."""
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return None
        origins = headers.getlist("origin")
        site = headers.get("sec-fetch-site", "none")
        if not origins and site in ("none", "same-origin"):
            return None
        if len(origins) == 1 and _same_host(origins[0], headers["host"]):
            return None
        return f"Requests from {(origins or [site])[0][:100]!r} are refused: another web page may not use this server."


class SecurityHeaders:
    """Add the headers that every answer carries; an answer's own value wins."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a ``send`` that completes the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                added = (header for header in ADDED_HEADERS if header[0] not in given)
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _too_large(headers: Headers, rule: BodyRule) -> bool:
    length = headers.get("content-length", "0")
    return not re.fullmatch("[0-9]{1,12}", length) or int(length) > rule.most


def _bounded(receive: Receive, rule: BodyRule) -> Receive:
    """A ``receive`` that holds a body to its bounds, whatever was declared.

    It fails with 413 once more has come than it may hold, and with 408 when it comes too slowly: whoever sends a byte a
    minute must not hold a connection for ever.
    """
    received = 0
    waited = 0.0
    is_over = False

    async def bounded_receive() -> Message:
        nonlocal received, waited, is_over
        if is_over:  # the client may say no more until it goes
            return await receive()
        began = time.monotonic()
        patience = min(BODY_SECONDS, BODY_SECONDS + received / BODY_BYTES_A_SECOND - waited)
        try:
            async with asyncio.timeout(patience):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, TOO_SLOW, {"connection": "close"}) from None
        waited += time.monotonic() - began  # what the server does in between is not the client's fault
        is_over = message["type"] != "http.request" or not message.get("more_body", False)
        received += len(message.get("body", b""))
        if received > rule.most:
            raise HTTPException(413, rule.too_large)
        return message

    return bounded_receive


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = {"http": ":80", "https": ":443"}.get(parts.scheme)
    if default is None:
        return False
    netloc, host = parts.netloc.lower(), host.lower()
    return netloc.removesuffix(default) == host.removesuffix(default)
