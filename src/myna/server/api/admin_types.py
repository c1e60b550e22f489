"""What crosses the wire about running a server for others; docs/application-api.md describes it."""

from __future__ import annotations

from typing import Any, Literal

from myna.server.api.account_types import Requests, Time, Tokens
from myna.server.api.types import Answer, ModelName, Request

SignUp = Literal["closed", "invitation", "open"]


class OptionsPatch(Request):
    """Body of ``PATCH /api/admin/options``: what is to change of `myna.store.options.Options`."""

    sign_up: SignUp = "closed"
    require_second_factor: bool = False
    requests_per_minute: Requests | None = None
    tokens_per_minute: Tokens | None = None
    tokens_per_day: Tokens | None = None
    default_model: ModelName | None = None
    titles: bool = True


class Options(Answer):
    """Answer to ``GET`` and ``PATCH /api/admin/options``."""

    sign_up: SignUp
    require_second_factor: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    default_model: str | None
    titles: bool


class AuditEntry(Answer):
    """What somebody did once; names are as they were then."""

    cursor: int
    at: int
    actor_id: str
    actor_name: str
    actor_key: str | None
    action: str
    kind: str
    object_id: str
    details: dict[str, Any]
    address: str | None


class AuditPage(Answer):
    """Answer to ``GET /api/admin/audit``; ``next`` is ``before`` of the next page, null at the end."""

    entries: list[AuditEntry]
    next: int | None
    actions: list[str]


class Prune(Request):
    """Body of ``POST /api/admin/audit/prune``: the moment before which entries go."""

    before: Time


class Pruned(Answer):
    """How many entries went."""

    removed: int
