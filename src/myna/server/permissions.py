"""What a caller must be allowed to do for each route: one table, asked by the guard before any route runs.

A route that is not in the table needs everything, so that one which is forgotten is closed rather than open; a test
walks the application's routes and names those.
"""

from __future__ import annotations

import functools
import re
from typing import Literal

from myna.server.identity import Identity

Need = Literal["open", "any", "read", "inference", "all", "models", "account", "users", "owners"]
"""Who may: everyone; whoever is known; keys that may read; keys that may use models; keys without limits; of these,
owners' and admins' alone (``models``: what concerns all users); who is signed in, no key (``account``); of these,
owners and admins alone (``users``), and owners alone (``owners``). Without a key everything is permitted that the role
allows."""

NEEDS: dict[str, Need] = {
    "GET /healthz": "open",
    "GET /metrics": "models",
    "GET /openapi.json": "any",
    "GET /docs": "any",
    "GET /docs/": "any",
    "GET /docs/**": "any",
    # The application's own: signing in, accounts, keys
    "GET /api/session": "open",
    "POST /api/session": "open",
    "DELETE /api/session": "account",
    "POST /api/setup": "open",
    "POST /api/session/second-factor": "open",
    "POST /api/sign-up": "open",
    "POST /api/provider": "open",
    "POST /api/provider/finish": "open",
    "POST /api/passkeys": "open",
    "POST /api/passkeys/finish": "open",
    "GET /api/account/passkeys": "account",
    "POST /api/account/passkeys": "account",
    "POST /api/account/passkeys/finish": "account",
    "PATCH /api/account/passkeys/*": "account",
    "DELETE /api/account/passkeys/*": "account",
    "GET /api/account/provider": "account",
    "DELETE /api/account/provider": "account",
    "POST /api/invitations/look": "open",
    "GET /api/invitations": "users",
    "POST /api/invitations": "users",
    "DELETE /api/invitations/*": "users",
    "DELETE /api/account": "account",
    "GET /api/account/confirmation": "account",
    "GET /api/account/export": "account",
    "POST /api/account/password": "account",
    "GET /api/account/sessions": "account",
    "DELETE /api/account/sessions": "account",
    "DELETE /api/account/sessions/*": "account",
    "GET /api/account/usage": "read",
    "GET /api/account/preferences": "read",
    "PATCH /api/account/preferences": "account",
    "GET /api/account/second-factor": "account",
    "POST /api/account/second-factor": "account",
    "DELETE /api/account/second-factor": "account",
    "POST /api/account/second-factor/confirm": "account",
    "POST /api/account/second-factor/recovery-codes": "account",
    "GET /api/account/keys": "account",
    "POST /api/account/keys": "account",
    "PATCH /api/account/keys/*": "account",
    "DELETE /api/account/keys/*": "account",
    "GET /api/users": "users",
    "POST /api/users": "users",
    "PATCH /api/users/*": "users",
    "DELETE /api/users/*": "users",
    "DELETE /api/users/*/second-factor": "users",
    "DELETE /api/users/*/passkeys": "users",
    # What owners decide for all, and what was done
    "GET /api/admin/options": "users",
    "PATCH /api/admin/options": "owners",
    "GET /api/admin/health": "users",
    "GET /api/admin/usage": "users",
    "GET /api/admin/usage/export": "users",
    "GET /api/admin/audit": "users",
    "GET /api/admin/audit/export": "users",
    "POST /api/admin/audit/prune": "owners",
    # Its chats and models
    "GET /api/chats": "read",
    "POST /api/chats/bulk": "all",
    "GET /api/chats/*": "read",
    "PATCH /api/chats/*": "all",
    "DELETE /api/chats/*": "all",
    "GET /api/chats/*/messages": "read",
    "GET /api/chats/*/export": "read",
    "POST /api/chats/*/messages": "all",
    "POST /api/chats/*/runs": "all",
    "DELETE /api/messages/*": "all",
    "POST /api/messages/*/tokens": "all",
    "GET /api/search": "read",
    "GET /api/projects": "read",
    "POST /api/projects": "all",
    "PATCH /api/projects/*": "all",
    "DELETE /api/projects/*": "all",
    "POST /api/runs/*/stop": "all",
    "POST /api/runs/*/send": "all",
    "PATCH /api/runs/*": "all",
    "DELETE /api/runs/*": "all",
    "PATCH /api/messages/*": "all",
    "POST /api/messages/*/copy": "all",
    "POST /api/chats/*/fork": "all",
    "WEBSOCKET /api/events": "read",
    "GET /api/presets": "read",
    "POST /api/presets": "all",
    "PATCH /api/presets/*": "all",
    "DELETE /api/presets/*": "all",
    "GET /api/models": "any",
    "GET /api/models/**/card": "any",
    "GET /api/licences": "read",
    "POST /api/playground": "inference",
    "POST /api/licences": "all",
    "POST /api/models/**/adapters": "models",
    "DELETE /api/models/**/adapters/*": "models",
    "DELETE /api/models/**": "models",
    "POST /api/models/**/load": "models",
    "POST /api/models/**/unload": "models",
    "POST /api/models/**/pull": "models",
    "POST /api/models/**/pull/cancel": "models",
    # Ollama's
    "GET /api/version": "any",
    "GET /api/tags": "any",
    "GET /api/ps": "any",
    "POST /api/show": "any",
    "POST /api/chat": "inference",
    "POST /api/generate": "inference",
    "POST /api/embed": "inference",
    "POST /api/embeddings": "inference",
    "POST /api/pull": "models",
    "DELETE /api/delete": "models",
    # Anthropic's
    "POST /v1/messages": "inference",
    "POST /v1/messages/count_tokens": "inference",
    # OpenAI's: models, and what uses them
    "GET /v1/models": "any",
    "GET /v1/models/**": "any",
    "DELETE /v1/models/**": "models",
    "POST /v1/load_lora_adapter": "models",
    "POST /v1/unload_lora_adapter": "models",
    "POST /v1/chat/completions": "inference",
    "POST /v1/completions": "inference",
    "POST /v1/embeddings": "inference",
    "POST /v1/tokenize": "inference",
    "POST /v1/detokenize": "inference",
    "POST /v1/rerank": "inference",
    "POST /v2/rerank": "inference",
    "POST /rerank": "inference",
    "POST /v1/infill": "inference",
    "POST /v1/moderations": "inference",
    "POST /v1/responses": "inference",
    "POST /v1/responses/input_tokens": "inference",
    "POST /v1/responses/compact": "inference",
    "POST /v1/responses/*/cancel": "inference",
    # ... and what is stored
    "GET /v1/responses/*": "read",
    "GET /v1/responses/*/input_items": "read",
    "DELETE /v1/responses/*": "all",
    "GET /v1/chat/completions": "read",
    "GET /v1/chat/completions/*": "read",
    "GET /v1/chat/completions/*/messages": "read",
    "POST /v1/chat/completions/*": "all",
    "DELETE /v1/chat/completions/*": "all",
    "POST /v1/conversations": "all",
    "GET /v1/conversations/*": "read",
    "POST /v1/conversations/*": "all",
    "DELETE /v1/conversations/*": "all",
    "GET /v1/conversations/*/items": "read",
    "POST /v1/conversations/*/items": "all",
    "GET /v1/conversations/*/items/*": "read",
    "DELETE /v1/conversations/*/items/*": "all",
    "GET /v1/files": "read",
    "POST /v1/files": "all",
    "GET /v1/files/*": "read",
    "DELETE /v1/files/*": "all",
    "GET /v1/files/*/content": "read",
    "POST /v1/uploads": "all",
    "POST /v1/uploads/*/parts": "all",
    "POST /v1/uploads/*/complete": "all",
    "POST /v1/uploads/*/cancel": "all",
    "GET /v1/batches": "read",
    "POST /v1/batches": "all",
    "GET /v1/batches/*": "read",
    "POST /v1/batches/*/cancel": "all",
    "GET /v1/webhook_endpoints": "read",
    "POST /v1/webhook_endpoints": "all",
    "GET /v1/webhook_endpoints/*": "read",
    "POST /v1/webhook_endpoints/*": "all",
    "DELETE /v1/webhook_endpoints/*": "all",
    "POST /v1/webhook_endpoints/*/rotate_secret": "all",
    "POST /v1/webhook_endpoints/*/test": "all",
    "GET /v1/webhook_event_types": "any",
}
"""Method and path; ``*`` is one segment of it, ``**`` any number. The first entry that fits counts."""
LONGEST_REMEMBERED = 256
"""Characters of a path whose need is remembered: those of strangers must not fill the memory."""


def _pattern(path: str) -> str:
    return re.escape(path).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")


_EXACT: dict[str, Need] = {route: need for route, need in NEEDS.items() if "*" not in route}
_PATTERNS = [(re.compile(_pattern(route), re.DOTALL), need) for route, need in NEEDS.items() if "*" in route]


def need_of(method: str, path: str) -> Need | None:
    """What a request needs by the table; None for what is not in it. A WebSocket's method is ``WEBSOCKET``."""
    return (_need_of if len(path) <= LONGEST_REMEMBERED else _need_of.__wrapped__)(method, path)


@functools.lru_cache(maxsize=4096)
def _need_of(method: str, path: str) -> Need | None:
    route = f"{'GET' if method == 'HEAD' else method} {path}"
    if route in _EXACT:
        return _EXACT[route]
    return next((need for pattern, need in _PATTERNS if pattern.fullmatch(route)), None)


def lacking(caller: Identity, need: Need) -> str | None:
    """Why a caller may not do what needs this; None if he may."""
    if need in ("account", "users", "owners") and caller.key is not None:
        return "An API key cannot manage accounts, sessions or keys: sign in to the application for that."
    if need in ("models", "users", "owners") and caller.role == "member":
        return "Only an owner or an admin may do this: it concerns everyone who uses this server."
    if need == "owners" and caller.role != "owner":
        return "Only an owner may do this: it decides something for everybody. Ask one."
    allowed: dict[Need, tuple[str, ...]] = {
        "read": ("all", "read"),
        "inference": ("all", "inference"),
        "all": ("all",),
        "models": ("all",),
    }
    if need in allowed and caller.permission not in allowed[need]:
        others = " or ".join(f"'{permission}'" for permission in allowed[need])
        return f"This API key's permission is '{caller.permission}'; this needs one with {others}."
    return None
