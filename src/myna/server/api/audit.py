"""The audit log for owners and admins: found, exported, and cut off where it is old, which an owner alone may do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from myna.errors import InvalidParameter
from myna.server import csv
from myna.server.acts import note
from myna.server.api import admin_types as types
from myna.server.api.services import Services
from myna.server.identity import identity_of
from myna.store import audit
from myna.store.audit import Entry, Filter
from myna.store.database import Database
from myna.store.records import now

router = APIRouter(prefix="/api/admin/audit")

MOST_ENTRIES = 200
EXPORTED_TOGETHER = 500
"""Entries that an export holds in memory."""
COLUMNS = tuple(field.name for field in dataclasses.fields(Entry))

Word = Annotated[str | None, Query(min_length=1, max_length=500)]
Time = Annotated[int | None, Query(ge=0, le=2**53)]


async def _filter(
    actor: Word = None,
    action: Word = None,
    kind: Word = None,
    object_id: Annotated[str | None, Query(alias="object", min_length=1, max_length=500)] = None,
    since: Time = None,
    until: Time = None,
    text: Word = None,
) -> Filter:
    return Filter(actor, action, kind, object_id, since, until, text)


Wanted = Annotated[Filter, Depends(_filter)]


@router.get("")
async def list_entries(
    services: Services,
    wanted: Wanted,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 50,
) -> types.AuditPage:
    """Who did what to which object, the newest first; every action that there is an entry of."""
    async with services.database.read("") as scope:
        found = await audit.entries(scope.transaction, wanted, before=before, limit=limit + 1)
        actions = await audit.actions(scope.transaction)
    page = found[:limit]
    following = page[-1].cursor if len(found) > limit else None
    return types.AuditPage.model_validate({"entries": page, "next": following, "actions": actions})


@router.get("/export")
async def export_entries(
    request: Request,
    services: Services,
    wanted: Wanted,
    form: Annotated[Literal["csv", "jsonl"], Query(alias="format")],
) -> StreamingResponse:
    """All that are wanted, as a file: comma-separated values, or a JSON object a line. That it was made is an entry."""
    asked = {name: value for name, value in dataclasses.asdict(wanted).items() if value is not None}
    await note(request, "audit.export", "audit", "", format=form, filter={**asked, "text": bool(wanted.text)})
    name = f"audit-{datetime.now(UTC):%Y-%m-%d}.{form}"
    lines = _csv(services.database, wanted) if form == "csv" else _json_lines(services.database, wanted)
    return StreamingResponse(
        lines,
        media_type=csv.MEDIA_TYPE if form == "csv" else "application/jsonl",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.post("/prune")
async def prune(request: Request, services: Services, body: types.Prune) -> types.Pruned:
    """Remove what is older than a moment, for good. An entry says that it was done, by whom, and of how many."""
    if body.before > now():
        raise InvalidParameter("'before' is in the future; it is in Unix milliseconds.", param="before")
    async with services.database.transaction() as transaction:
        return types.Pruned(removed=await audit.prune(transaction, identity_of(request), body.before))


async def _all(database: Database, wanted: Filter) -> AsyncIterator[list[Entry]]:
    """Everything that is wanted, some at a time; what is added meanwhile comes before it and is left out."""
    before: int | None = None
    while True:
        async with database.read("") as scope:
            found = await audit.entries(scope.transaction, wanted, before=before, limit=EXPORTED_TOGETHER)
        if found:
            yield found
        if len(found) < EXPORTED_TOGETHER:
            return
        before = found[-1].cursor


async def _csv(database: Database, wanted: Filter) -> AsyncIterator[str]:
    yield csv.line(COLUMNS)
    async for entries in _all(database, wanted):
        yield "".join(
            csv.line(
                [
                    entry.cursor,
                    datetime.fromtimestamp(entry.at / 1000, UTC).isoformat(timespec="milliseconds"),
                    *(getattr(entry, name) for name in COLUMNS[2:-2]),
                    json.dumps(entry.details, ensure_ascii=False),
                    entry.address,
                ]
            )
            for entry in entries
        )


async def _json_lines(database: Database, wanted: Filter) -> AsyncIterator[str]:
    async for entries in _all(database, wanted):
        yield "".join(f"{json.dumps(dataclasses.asdict(entry), ensure_ascii=False)}\n" for entry in entries)
