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
from itertools import accumulate
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import Column, Row, Select, String, Text, cast, func

from myna.errors import InvalidParameter
from myna.store.scope import Scope

Order = Literal["asc", "desc"]
Item = TypeVar("Item")

OBJECT_ID = String(64)
"""Type of columns for ids of `new_id`."""
PAGE_CHARACTERS = 8 << 20
"""What one page may hold of JSON, so that a hundred objects of the largest size are not in memory at once."""

READ_CHARACTERS = 32 << 20
"""What is read of JSON at once where all of it is wanted: far above any context, far below what hurts the server."""

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
    holding: Column[Any] | None = None,
) -> Page[Item]:
    """The wanted part of what a statement selects.

    Args:
        scope: whose rows.
        statement: what to select, without order and limit.
        key: by which the list is ordered: unique for each row, and found through an index.
        wanted: which part.
        read: makes an item of a row.
        after: the value of ``key`` after which the part begins; by default ``wanted.after``, for a key of ids.
        holding: a column of JSON that may be large: a page has no more rows than hold `PAGE_CHARACTERS`, but one.
    """
    after = wanted.after if after is None else after
    descending = wanted.order == "desc"
    if after is not None:
        statement = statement.where(key < after if descending else key > after)
    statement = statement.order_by(key.desc() if descending else key.asc())
    if holding is None:
        rows = await scope.all(statement.limit(wanted.limit + 1))
        return Page([read(row) for row in rows[: wanted.limit]], len(rows) > wanted.limit)
    sizes = await scope.all(statement.with_only_columns(func.length(cast(holding, Text))).limit(wanted.limit + 1))
    held = list(accumulate(size for (size,) in sizes[: wanted.limit]))
    count = max(1, sum(total <= PAGE_CHARACTERS for total in held))
    rows = await scope.all(statement.limit(count))
    return Page([read(row) for row in rows], len(sizes) > count)


async def check_size(scope: Scope, statement: Select[Any], column: Column[Any], what: str, param: str) -> None:
    """Whether all that a statement selects may be read at once.

    Args:
        scope: whose rows.
        statement: what to select, without order.
        column: the one of JSON.
        what: how the rows together are called.
        param: the field that asked for them.

    Raises:
        InvalidParameter: they hold more than `READ_CHARACTERS`.
    """
    row = await scope.first(statement.with_only_columns(func.sum(func.length(cast(column, Text))).label("size")))
    if row is not None and row.size is not None and row.size > READ_CHARACTERS:
        raise InvalidParameter(
            f"{what} holds {row.size:,} characters; at most {READ_CHARACTERS:,} are read at once. Begin anew.",
            param=param,
        )
