"""The one guard: who is asking, and whether they may. Nothing behind it is reached otherwise.

Who is asking is told by an API key (``Authorization: Bearer KEY``, or ``X-Api-Key`` where Anthropic's clients put it)
or by the cookie of a browser's session. Bound to a loopback address and without accounts a server is a program of one
person, and everyone who reaches it is that person; a key of the settings (``MYNA_API_KEY``) is asked for even then, by
what programs use. Bound elsewhere without accounts it does nothing but let the first one be made.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myna.server.accounts import Accounts, Denied, sharing
from myna.server.accounts.connections import Connection
from myna.server.accounts.directory import digest
from myna.server.identity import IN_SCOPE, LOCAL, Identity
from myna.server.permissions import Need, lacking, need_of
from myna.server.shapes import OLLAMA_PATHS, refusal
from myna.store import audit

COOKIE = "myna_session"
USER = "x-myna-user"
"""Whom a page believes to be its user: a tab that slept while somebody else signed in must not write in his name."""
POLICY_VIOLATION = 1008
"""Why a WebSocket is closed whose caller may not have it, or no longer."""

NO_CREDENTIALS = Denied("not_signed_in", "Sign in, or send an API key as 'Authorization: Bearer KEY'.")
NO_ACCOUNT = Denied(
    "not_signed_in",
    "This server has no account yet. Make the first one with the address that Myna printed in its terminal.",
)
SOMEBODY_ELSE = Denied("not_signed_in", "Somebody else is signed in here now. Load the page anew.")
WRONG_KEY = Denied("invalid_api_key", "A valid API key is needed: send it as 'Authorization: Bearer KEY'.")


class Guard:
    """ASGI middleware that knows the caller of every request and WebSocket, and refuses who may not."""

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self.app = app
        self.accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse with 401 (not known) or 403 (not allowed). A call from within brings its caller along."""
        if scope["type"] == "lifespan" or IN_SCOPE in scope:
            await self.app(scope, receive, send)
            return
        path, headers = scope["path"], Headers(scope=scope)
        audit.address.set(scope["client"][0] if scope.get("client") else None)
        caller = self._identify(path, headers)
        if isinstance(caller, Denied) and await sharing.catch_up(self.accounts, _digests(headers)):
            caller = self._identify(path, headers)
        if isinstance(caller, Identity) and headers.get(USER, caller.user) != caller.user:
            caller = SOMEBODY_ELSE
        need = _need(scope)
        if isinstance(caller, Denied):
            if need != "open":
                await _refuse(scope, receive, send, 401, caller.code, caller.message)
                return
            scope[IN_SCOPE] = None
            await self.app(scope, receive, send)
            return
        if (reason := lacking(caller, need)) is not None:
            await _refuse(scope, receive, send, 403, "insufficient_permissions", reason)
            return
        scope[IN_SCOPE] = caller
        if need == "open":  # nothing can be revoked that anybody has
            await self.app(scope, receive, send)
        else:
            await self._answer(caller, scope, receive, send)

    def _identify(self, path: str, headers: Headers) -> Identity | Denied:
        """Who is asking; a key counts before a cookie, so that a wrong one is never overlooked."""
        accounts = self.accounts
        state = accounts.state
        if state == "single" and not (accounts.has_environment_key and is_for_programs(path)):
            return LOCAL
        secret = _key_in(headers)
        if secret is not None:
            found = accounts.by_key(secret)
            return WRONG_KEY if isinstance(found, Denied) and state != "accounts" else found
        if state != "accounts":
            return WRONG_KEY if state == "single" else NO_ACCOUNT
        token = _token_in(headers)
        return NO_CREDENTIALS if token is None else accounts.by_session(token)

    async def _answer(self, caller: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route answer, unless meanwhile the caller loses what let him in."""
        connection = self.accounts.connections.add(caller)
        began = False

        async def noting_send(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        except asyncio.CancelledError:
            if not _was_revoked(connection):
                raise
            if scope["type"] == "websocket" or not began:
                message = "What let this request in has been revoked, or its user may do less now."
                await _refuse(scope, receive, send, 401, "not_signed_in", message)
            # An answer that has begun breaks off: the server closes a connection whose answer is not whole.
        finally:
            self.accounts.connections.discard(connection)


def _was_revoked(connection: Connection) -> bool:
    """Whether the task was cancelled for this and nothing else; it goes on then."""
    return connection.revoked and connection.task.uncancel() == 0


def _need(scope: Scope) -> Need:
    """What a request needs. What no route takes is the browser application's, and its files are no secret."""
    path = scope["path"]
    need = need_of("WEBSOCKET" if scope["type"] == "websocket" else scope["method"], path)
    if need is not None:
        return need
    if path.startswith(("/v1/", "/api/")) or path in ("/v1", "/api"):
        return "all"
    taken = any(route.matches(scope)[0] is not Match.NONE for route in scope["app"].router.routes)
    return "all" if taken else "open"


def is_for_programs(path: str) -> bool:
    """Whether a path is used by programs rather than by the browser application."""
    others = ("/v1", "/v2/rerank", "/rerank", "/metrics", "/openapi.json")
    return path.startswith("/v1/") or path in others or path in OLLAMA_PATHS


def _key_in(headers: Headers) -> str | None:
    """The key that was sent; another scheme than Bearer is for somebody else, such as a proxy before us."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _token_in(headers: Headers) -> str | None:
    """The token of a browser's session."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE)


def _digests(headers: Headers) -> list[bytes]:
    return [digest(secret) for secret in (_key_in(headers), _token_in(headers)) if secret is not None]


def _reads_the_reference(scope: Scope) -> bool:
    """Whether a person opens the pages about the API: there the application is shown first, to sign in."""
    path, accepts = scope["path"], Headers(scope=scope).get("accept", "")
    return scope["method"] in ("GET", "HEAD") and f"{path}/".startswith("/docs/") and "text/html" in accepts


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, code: str, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": message[:120]})
        return
    if status == 401 and _reads_the_reference(scope):
        sign_in = RedirectResponse(f"/?then={quote(scope['path'])}", 303)
        await sign_in(scope, receive, send)
        return
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    await refusal(scope["path"], status, message, code=code, headers=headers)(scope, receive, send)
