"""Who did what to which object: entries that are added in the transaction that does it, and never changed.

They have no owner, unlike everything else that is stored: what somebody did must stay known when his account, with all
that he owns, is deleted. So an entry repeats the names as they were. It never holds secrets or what people write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select

from myna.store.records import now
from myna.store.scope import Scope, Transaction
from myna.store.tables.administration import audit

PRUNE = "audit.prune"
"""Its entry names the moment up to which older ones were removed; the database asks for it before it lets them go."""
MOST_CHARACTERS = 500
"""Of one text in the details, and of an object's id."""
SECRETS = {"password", "old_password", "secret", "token", "digest", "code", "text"}
"""Names that no detail may have."""

address: ContextVar[str | None] = ContextVar("address", default=None)
"""From where comes what is being done; whoever takes a request sets it."""


class Actor(Protocol):
    """Who does something; `myna.server.identity.Identity` is one."""

    @property
    def user(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done once. ``actor_id`` is empty where nobody known did it; ``at`` is in Unix milliseconds."""

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


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; None is any.

    Attributes:
        actor: id of who did it.
        action: such as ``key.revoke``, or its beginning up to a dot, such as ``key.``.
        kind: of the object.
        object_id: of the object.
        since: first moment, in Unix milliseconds.
        until: the moment after the last.
        text: what names, ids, address or details contain, whatever the case.
    """

    actor: str | None = None
    action: str | None = None
    kind: str | None = None
    object_id: str | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None


async def record(
    where: Transaction | Scope, actor: Actor | str, action: str, kind: str, object_id: str, **details: Any
) -> None:
    """Add an entry to the transaction that does what it tells.

    Args:
        where: the transaction.
        actor: who does it; a word such as ``system`` where it is no user.
        action: ``kind.verb``.
        kind: of the object.
        object_id: of the object; empty if it has none.
        details: what was changed, and names as they are now. No secrets, nothing that people wrote.
    """
    assert not SECRETS & details.keys(), "secrets have no place in the audit log"
    transaction = where.transaction if isinstance(where, Scope) else where
    who = ("", actor, None) if isinstance(actor, str) else (actor.user, actor.name, actor.key)
    await transaction.connection.execute(
        insert(audit),
        {
            "at": now(),
            "actor_id": who[0],
            "actor_name": who[1],
            "actor_key": who[2],
            "action": action,
            "kind": kind,
            "object_id": object_id[:MOST_CHARACTERS],
            "details": json.dumps(_short(details), ensure_ascii=False),
            "address": (address.get() or "")[:64] or None,
        },
    )


async def entries(
    transaction: Transaction, wanted: Filter, *, before: int | None = None, limit: int = 50
) -> list[Entry]:
    """The newest entries that are wanted, the newest first.

    Args:
        transaction: where to look.
        wanted: which.
        before: the cursor where the last page ended.
        limit: at most so many.
    """
    statement = select(audit).where(*_conditions(wanted)).order_by(audit.c.cursor.desc()).limit(limit)
    if before is not None:
        statement = statement.where(audit.c.cursor < before)
    return [_entry(row) for row in await transaction.connection.execute(statement)]


async def actions(transaction: Transaction) -> list[str]:
    """Every action that there is an entry of, in alphabetical order."""
    found = select(audit.c.action).distinct().order_by(audit.c.action)
    return list((await transaction.connection.execute(found)).scalars())


async def prune(transaction: Transaction, actor: Actor, before: int) -> int:
    """Remove the entries from before a moment; that it was done, and by whom, is an entry itself. How many went."""
    old = audit.c.at < before
    count = (await transaction.connection.execute(select(func.count()).select_from(audit).where(old))).scalar_one()
    await record(transaction, actor, PRUNE, "audit", str(before), entries=count)
    await transaction.connection.execute(delete(audit).where(old))
    return int(count)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (audit.c.actor_id, wanted.actor),
        (audit.c.kind, wanted.kind),
        (audit.c.object_id, wanted.object_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.action is not None:
        is_beginning = wanted.action.endswith(".")
        conditions.append(
            audit.c.action.startswith(wanted.action, autoescape=True)
            if is_beginning
            else audit.c.action == wanted.action
        )
    if wanted.since is not None:
        conditions.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.at < wanted.until)
    if wanted.text is not None:
        searched = (audit.c.actor_name, audit.c.object_id, audit.c.action, audit.c.address, audit.c.details)
        conditions.append(or_(*(column.icontains(wanted.text, autoescape=True) for column in searched)))
    return conditions


def _entry(row: Row[Any]) -> Entry:
    return Entry(**{**row._mapping, "details": json.loads(row.details)})


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MOST_CHARACTERS]
    if isinstance(value, Mapping):
        return {str(name): _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, (list, tuple)) else value
