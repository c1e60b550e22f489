"""What was used of the models, a row for each user, day, model and key."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import Column, func, select

from myna.store.scope import Scope, Transaction
from myna.store.tables.usage import usage

Group = Literal["day", "model", "user"]
GROUPS: dict[Group, Column[str]] = {"day": usage.c.day, "model": usage.c.model, "user": usage.c.owner}
COUNTS = (
    usage.c.requests,
    usage.c.prompt_tokens,
    usage.c.completion_tokens,
    usage.c.timed_tokens,
    usage.c.timed_milliseconds,
)


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What a user has used on one day of UTC, of one model, with one key (empty: in the browser).

    ``timed_tokens`` are those of answers after their first, which took ``timed_milliseconds``: together the speed.
    """

    day: date
    model: str
    key: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    timed_tokens: int = 0
    timed_milliseconds: int = 0


async def add(transaction: Transaction, used: Iterable[tuple[str, DayUsage]]) -> None:
    """Add to what there is, by owner."""
    for owner, more in used:
        scope = transaction.owned_by(owner)
        key = {"day": more.day.isoformat(), "model": more.model, "key": more.key}
        counts = {column.name: getattr(more, column.name) for column in COUNTS}
        known = scope.update(usage).filter_by(**key)
        # Writers take turns, so nobody can add the row between the two.
        if not await scope.run(known.values({column: column + counts[column.name] for column in COUNTS})):
            await scope.add(usage, key | counts)


async def tokens_of_day(transaction: Transaction, day: date, owners: Collection[str] | None = None) -> dict[str, int]:
    """Tokens of prompts and answers together, by owner; of all, or of these."""
    tokens = func.sum(usage.c.prompt_tokens + usage.c.completion_tokens)
    rows = select(usage.c.owner, tokens).where(usage.c.day == day.isoformat()).group_by(usage.c.owner)
    if owners is not None:
        rows = rows.where(usage.c.owner.in_(owners))
    return {owner: int(total) for owner, total in (await transaction.connection.execute(rows)).all()}


async def of_days(scope: Scope, first: date, last: date) -> list[DayUsage]:
    """What the owner has used from one day to another, both included; by day, model and key."""
    columns = [column for column in usage.c if column is not usage.c.owner]
    within = scope.select(usage, *columns).where(usage.c.day.between(first.isoformat(), last.isoformat()))
    rows = await scope.all(within.order_by(usage.c.day, usage.c.model, usage.c.key))
    return [DayUsage(**{**row._mapping, "day": date.fromisoformat(row.day)}) for row in rows]


@dataclass(frozen=True, slots=True)
class Total:
    """What was used, summed up; what it is not grouped by is None. Fields as in `DayUsage`."""

    day: date | None
    model: str | None
    owner: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    timed_tokens: int
    timed_milliseconds: int


async def totals(
    transaction: Transaction,
    first: date,
    last: date,
    by: Collection[Group],
    *,
    owner: str | None = None,
    model: str | None = None,
    limit: int | None = None,
) -> list[Total]:
    """What everybody has used from one day to another, both included.

    Args:
        transaction: where to look.
        first: first day of UTC.
        last: last one.
        by: what the sums are of; empty for one of all.
        owner: of one user alone.
        model: of one model alone.
        limit: at most so many sums, those with the most tokens; by default all.

    Returns:
        In the order of days, where they are grouped by; within, the most tokens first.
    """
    groups = [GROUPS[name] for name in GROUPS if name in by]
    sums = [func.sum(column).label(column.name) for column in COUNTS]
    tokens = func.sum(usage.c.prompt_tokens + usage.c.completion_tokens)
    statement = (
        select(*groups, *sums)
        .where(usage.c.day.between(first.isoformat(), last.isoformat()))
        .group_by(*groups)
        .having(func.count() > 0)
        .order_by(tokens.desc(), *groups)
        .limit(limit)
    )
    if owner is not None:
        statement = statement.where(usage.c.owner == owner)
    if model is not None:
        statement = statement.where(usage.c.model == model)
    rows = (await transaction.connection.execute(statement)).mappings()
    found = [
        Total(
            day=date.fromisoformat(row["day"]) if "day" in row else None,
            model=row.get("model"),
            owner=row.get("owner"),
            **{column.name: int(row[column.name]) for column in COUNTS},
        )
        for row in rows
    ]
    return sorted(found, key=lambda total: total.day or first)
