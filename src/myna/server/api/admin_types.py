"""What crosses the wire about running a server for others; docs/application-api.md describes it."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from myna.server.api.account_types import Requests, Time, Tokens
from myna.server.api.types import Answer, ModelName, Request
from myna.store.options import SignUp


class OptionsPatch(Request):
    """Body of ``PATCH /api/admin/options``: what is to change of `myna.store.options.Options`."""

    sign_up: SignUp = "invitation"
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


class UsedBy(Answer):
    """Whose usage it is; without accounts nobody's name."""

    id: str
    name: str | None


class Sum(Answer):
    """What was used; what it is not grouped by is null.

    ``timed_tokens`` are those of answers after their first, which took ``timed_milliseconds``: the speed.
    """

    day: date | None
    model: str | None
    user: UsedBy | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    timed_tokens: int
    timed_milliseconds: int


class Sums(Answer):
    """Answer to ``GET /api/admin/usage``, in the order of days; within, the most tokens first."""

    first: date
    last: date
    sums: list[Sum]


class Space(Answer):
    """Bytes of the disk or of the memory."""

    total: int
    free: int


class DatabaseHealth(Answer):
    """Where everything is stored, without any password."""

    kind: Literal["sqlite", "postgresql"]
    place: str
    bytes: int
    revision: str


class Engine(Answer):
    """The process of one model; ``bytes`` of memory are null where they cannot be told."""

    model: str
    state: Literal["loading", "ready", "failed"]
    error: str | None
    bytes: int | None
    running: int
    waiting: int
    generated_tokens: int


class LastBackup(Answer):
    """The last backup that is known."""

    at: int
    path: str
    bytes: int


AdviceCode = Literal[
    "store_fails", "disk_low", "memory_low", "engine_failed", "no_backup", "old_backup", "sign_up_open"
]


class Advice(Answer):
    """Something that wants to be done; docs/operation.md says what, by ``code``."""

    code: AdviceCode
    values: dict[str, Any]


class Health(Answer):
    """Answer to ``GET /api/admin/health``. Times are Unix milliseconds; counts are since the start."""

    version: str
    started_at: int
    now: int
    database: DatabaseHealth
    data_dir: str
    disk: Space
    memory: Space
    server_bytes: int | None
    engines: list[Engine]
    requests: int
    client_errors: int
    server_errors: int
    users: int
    sessions: int
    last_backup: LastBackup | None
    warnings: list[Advice]
