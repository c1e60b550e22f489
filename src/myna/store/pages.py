"""Ids that are in the order of time, and lists that are read a page at a time by them.

A page is found by where the last one ended, not by counting: it costs the same anywhere in a list, nothing is shown
twice or left out when rows come or go meanwhile, and the row where the last page ended may be gone.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import Column, Row, Select, String

from myna.store.scope import Scope

Order = Literal["asc", "desc"]
Item = TypeVar("Item")

OBJECT_ID = String(64)
"""Type of columns for ids of `new_id`."""

_last = 0
_lock = threading.Lock()


def new_id(prefix: str) -> str:
    """An id such as ``file-0641d2…``: 56 bits of microseconds, later than all before it, and 72 that nobody guesses."""
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1_000)
        return f"{prefix}{_last:014x}{secrets.token_hex(9)}"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted: up to ``limit`` rows that come after the one with the id ``after``."""

    limit: int = 20
    after: str | None = None
    order: Order = "desc"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list, and whether something follows it."""

    items: list[Item]
    has_more: bool


async def page(
    scope: Scope,
    statement: Select[Any],
    key: Column[Any],
    wanted: PageRequest,
    read: Callable[[Row[Any]], Item],
    *,
    after: Any = None,
) -> Page[Item]:
    """The wanted part of what a statement selects.

    Args:
        scope: whose rows.
        statement: what to select, without order and limit.
        key: by which the list is ordered: unique for each row, and found through an index.
        wanted: which part.
        read: makes an item of a row.
        after: the value of ``key`` after which the part begins; by default ``wanted.after``, for a key of ids.
    """
    after = wanted.after if after is None else after
    descending = wanted.order == "desc"
    if after is not None:
        statement = statement.where(key < after if descending else key > after)
    statement = statement.order_by(key.desc() if descending else key.asc()).limit(wanted.limit + 1)
    rows = await scope.all(statement)
    return Page([read(row) for row in rows[: wanted.limit]], len(rows) > wanted.limit)
