"""What everybody has used, for owners and admins: summed up by day, model and user, or as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from myna.errors import InvalidParameter
from myna.server import csv
from myna.server.accounts import Accounts
from myna.server.api import admin_types as types
from myna.server.api.services import Known, Services
from myna.store import usage
from myna.store.database import Database
from myna.store.usage import Group

router = APIRouter(prefix="/api/admin/usage")

MOST_DAYS = 3660
DAYS = 30
MOST_SUMS = 10_000
COLUMNS = ("day", "model", "user_id", "user", "requests", "prompt_tokens", "completion_tokens", "tokens_per_second")

Name = Annotated[str | None, Query(min_length=1, max_length=500)]


@router.get("")
async def sum_up(
    services: Services,
    accounts: Known,
    first: Annotated[date | None, Query(alias="from")] = None,
    last: Annotated[date | None, Query(alias="to")] = None,
    by: Annotated[list[Group], Query(max_length=3)] = [],  # noqa: B006 - FastAPI copies it
    user: Name = None,
    model: Name = None,
    limit: Annotated[int, Query(ge=1, le=MOST_SUMS)] = 1000,
) -> types.Sums:
    """What was used in a range of days of UTC, both ends included; the last thirty, if none is given."""
    first, last = _range(first, last)
    async with services.database.read("") as scope:
        found = await usage.totals(scope.transaction, first, last, by, owner=user, model=model, limit=limit)
    return types.Sums(
        first=first,
        last=last,
        sums=[
            types.Sum(
                day=each.day,
                model=each.model,
                user=None if each.owner is None else types.UsedBy(id=each.owner, name=_name(accounts, each.owner)),
                requests=each.requests,
                prompt_tokens=each.prompt_tokens,
                completion_tokens=each.completion_tokens,
                timed_tokens=each.timed_tokens,
                timed_milliseconds=each.timed_milliseconds,
            )
            for each in found
        ],
    )


@router.get("/export")
async def export(
    services: Services,
    accounts: Known,
    first: Annotated[date | None, Query(alias="from")] = None,
    last: Annotated[date | None, Query(alias="to")] = None,
) -> StreamingResponse:
    """The same by day, model and user, as comma-separated values."""
    first, last = _range(first, last)
    return StreamingResponse(
        _lines(services.database, accounts, first, last),
        media_type=csv.MEDIA_TYPE,
        headers={"content-disposition": f'attachment; filename="usage-{first}-{last}.csv"'},
    )


async def _lines(database: Database, accounts: Accounts, first: date, last: date) -> AsyncIterator[str]:
    """A day at a time: no more is held in memory."""
    yield csv.line(COLUMNS)
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        async with database.read("") as scope:
            found = await usage.totals(scope.transaction, day, day, ("day", "model", "user"))
        for each in found:
            owner = each.owner or ""
            speed = round(1000 * each.timed_tokens / each.timed_milliseconds, 1) if each.timed_milliseconds else None
            counts = (each.requests, each.prompt_tokens, each.completion_tokens)
            yield csv.line([day.isoformat(), each.model, owner, _name(accounts, owner), *counts, speed])


def _name(accounts: Accounts, user_id: str) -> str | None:
    user = accounts.directory.users.get(user_id)
    return None if user is None else user.name


def _range(first: date | None, last: date | None) -> tuple[date, date]:
    last = last or datetime.now(UTC).date()
    first = first or date.fromordinal(max(1, last.toordinal() - DAYS + 1))
    if not 0 <= (last - first).days < MOST_DAYS:
        raise InvalidParameter(f"From {first} to {last} is no range of days, or longer than ten years.", param="from")
    return first, last
