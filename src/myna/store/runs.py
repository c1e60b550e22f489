"""Runs and their event logs. A log lives as long as its run is open; then the message holds what it said."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Row, or_, select, tuple_

from myna.errors import NotFound
from myna.store import changes
from myna.store.messages import pack, unpack
from myna.store.records import OPEN, Run, RunEvent, RunStatus, StartedEvent, TextEvent
from myna.store.scope import Scope, Transaction
from myna.store.tables.chats import run_events, runs

COLUMNS = [column for column in runs.c if column is not runs.c.owner]


CONTENTS = ("text", "token_ids", "tokenizer", "details")
"""Columns of an event that each kind has its own of."""


def _run(row: Row[Any]) -> Run:
    return Run(**row._mapping)


async def find(scope: Scope, run_id: str) -> Run | None:
    """A run, or None if the owner has none of this id."""
    row = await scope.first(scope.select(runs, *COLUMNS).where(runs.c.id == run_id))
    return None if row is None else _run(row)


async def get(scope: Scope, run_id: str) -> Run:
    """A run.

    Raises:
        NotFound: the owner has none of this id.
    """
    run = await find(scope, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}; its chat or message may have been deleted.", param="run")
    return run


async def of_ids(scope: Scope, ids: Iterable[str]) -> dict[str, Run]:
    """Those of the given runs that exist, by id."""
    rows = await scope.all(scope.select(runs, *COLUMNS).where(runs.c.id.in_(list(ids))))
    return {row.id: _run(row) for row in rows}


async def open_in_chat(scope: Scope, chat_id: str) -> list[Run]:
    """A chat's open runs, oldest first."""
    statement = scope.select(runs, *COLUMNS).where(runs.c.chat_id == chat_id, runs.c.status.in_(OPEN))
    return [_run(row) for row in await scope.all(statement.order_by(runs.c.created_at, runs.c.id))]


async def left_open(transaction: Transaction, living: Collection[int] | None) -> list[tuple[str, Run]]:
    """Every owner's open runs that no process writes any more: what a crash has left.

    ``living`` are the processes that share the database; None: this one alone, and has just begun.
    """
    statement = select(runs.c.owner, *COLUMNS).where(runs.c.status.in_(OPEN)).order_by(runs.c.created_at, runs.c.id)
    if living is not None:
        statement = statement.where(or_(runs.c.server.is_(None), runs.c.server.not_in(living)))
    found = []
    for row in await transaction.connection.execute(statement):
        values = dict(row._mapping)
        found.append((values.pop("owner"), Run(**values)))
    return found


async def add(scope: Scope, run: Run) -> None:
    """Insert a run."""
    values = {column.name: getattr(run, column.name) for column in COLUMNS}
    await scope.add(runs, values | {"server": scope.transaction.server})
    await changes.record(scope, "run", run.id)


async def set_status(scope: Scope, run_id: str, status: RunStatus, *, last_event: int = 0) -> None:
    """Change a run's status, as the process that writes it; one that is over keeps of its log the last number."""
    values = {"status": status, "last_event": last_event, "server": scope.transaction.server}
    await scope.run(scope.update(runs).where(runs.c.id == run_id).values(values))
    if status not in OPEN:
        await scope.run(scope.delete(run_events).where(run_events.c.run_id == run_id))
    await changes.record(scope, "run", run_id)


async def append_events(transaction: Transaction, events: Iterable[tuple[str, str, int, RunEvent]]) -> None:
    """Append events of any owners' runs, as (owner, run id, number, event), in one statement.

    Those that are there already are left: of a commit whose answer was lost with the connection nobody knows whether it
    was one, and it is made again. The end of a run is not an event of its log: it is the run's own status.
    """
    rows: list[dict[str, Any]] = []
    for owner, run_id, seq, event in events:
        row = {"owner": owner, "run_id": run_id, "seq": seq, **dict.fromkeys(CONTENTS)}
        if isinstance(event, StartedEvent):
            details = dataclasses.asdict(event)
            rows.append({**row, "kind": "started", "tokenizer": details.pop("tokenizer"), "details": details})
        elif isinstance(event, TextEvent):
            kind = "reasoning" if event.reasoning else "text"
            rows.append({**row, "kind": kind, "text": event.text, "token_ids": pack(event.token_ids)})
    await transaction.add_missing(run_events, rows)


async def missing(transaction: Transaction, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (owner, run id) of which there is no run."""
    place = tuple_(runs.c.owner, runs.c.id)
    rows = await transaction.connection.execute(select(runs.c.owner, runs.c.id).where(place.in_(list(keys))))
    return set(keys) - {(row.owner, row.id) for row in rows}


async def events_after(scope: Scope, run_id: str, seq: int, limit: int) -> list[tuple[int, RunEvent]]:
    """Up to ``limit`` events of an open run's log after number ``seq``."""
    later = scope.select(run_events).where(run_events.c.run_id == run_id, run_events.c.seq > seq)
    return [(row.seq, _event(row)) for row in await scope.all(later.order_by(run_events.c.seq).limit(limit))]


async def logged(scope: Scope, run_id: str) -> tuple[int, str | None, list[TextEvent]]:
    """What the log of an open run holds: number of the last event, the tokenizer's fingerprint, and its text."""
    rows = await scope.all(scope.select(run_events).where(run_events.c.run_id == run_id).order_by(run_events.c.seq))
    tokenizer = next((row.tokenizer for row in rows if row.kind == "started"), None)
    texts = [
        TextEvent(row.text, unpack(row.token_ids) or (), row.kind == "reasoning")
        for row in rows
        if row.kind in ("text", "reasoning")
    ]
    return (rows[-1].seq if rows else 0), tokenizer, texts


def _event(row: Row[Any]) -> RunEvent:
    if row.kind == "started":
        return StartedEvent(**row.details, tokenizer=row.tokenizer)
    return TextEvent(row.text, unpack(row.token_ids) or (), row.kind == "reasoning")
