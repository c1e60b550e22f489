"""Stored responses: each with the items it was given and those it gave, and a log of events while it is young.

A response that builds on another has only its own items; `chain` puts them together. The log of a response that ran in
background outlives it by `KEEP_EVENTS_SECONDS`, for followers that come back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, delete, literal, or_, select, tuple_

from myna.errors import InvalidParameter, NotFound
from myna.store.pages import check_size
from myna.store.records import now
from myna.store.scope import Scope, Transaction
from myna.store.tables.responses import response_events, response_items, responses

Item = dict[str, Any]

OPEN = ("queued", "in_progress")
KEEP_EVENTS_SECONDS = 3600
NO_EVENTS = -1

COLUMNS = [column for column in responses.c if column is not responses.c.owner]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response without its items.

    Attributes:
        id: of the response.
        previous_id: the response it goes on from.
        status: as OpenAI has it.
        background: it runs, or ran, without a client.
        last_event: number of the last event of its log, `NO_EVENTS` where it never had one.
        ended_at: Unix milliseconds; None while it is open.
        body: the object as it is shown, but for its output.
        server: number of the process that writes it, among those that share a database.
    """

    id: str
    previous_id: str | None
    status: str
    background: bool
    last_event: int
    ended_at: int | None
    body: dict[str, Any]
    server: int | None = None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


def _response(row: Row[Any]) -> StoredResponse:
    return StoredResponse(**row._mapping)


async def find(scope: Scope, response_id: str) -> StoredResponse | None:
    """A response, or None if the owner has none of this id."""
    row = await scope.first(scope.select(responses, *COLUMNS).where(responses.c.id == response_id))
    return None if row is None else _response(row)


async def get(scope: Scope, response_id: str, param: str = "response_id") -> StoredResponse:
    """A response.

    Raises:
        NotFound: the owner has none of this id.
    """
    found = await find(scope, response_id)
    if found is None:
        raise NotFound(
            f"There is no response {response_id!r}; it was deleted, or never stored ('store': false).", param=param
        )
    return found


async def add(scope: Scope, response: StoredResponse, given: Sequence[Item], output: Sequence[Item] = ()) -> None:
    """Store a response with the items it was given, and what it gave if it is over."""
    values = {column.name: getattr(response, column.name) for column in COLUMNS}
    await scope.add(responses, values | {"server": scope.transaction.server})
    await _add_items(scope, response.id, given, 0, given=True)
    await _add_items(scope, response.id, output, len(given), given=False)


async def begin(scope: Scope, response_id: str, body: dict[str, Any]) -> None:
    """Note that a queued response is being written."""
    statement = scope.update(responses).where(responses.c.id == response_id)
    await scope.run(statement.values(status=body["status"], body=body))


async def finish(
    scope: Scope, response_id: str, body: dict[str, Any], output: Sequence[Item], *, last_event: int
) -> None:
    """End an open response with what it gave."""
    statement = scope.update(responses).where(responses.c.id == response_id)
    values = {"status": body["status"], "body": body, "last_event": last_event, "ended_at": now()}
    if not await scope.run(statement.values(**values)):
        return  # deleted meanwhile
    row = await scope.first(
        scope.select(response_items, response_items.c.position)
        .where(response_items.c.response_id == response_id)
        .order_by(response_items.c.position.desc())
        .limit(1)
    )
    await _add_items(scope, response_id, output, 0 if row is None else row.position + 1, given=False)


async def remove(scope: Scope, response_id: str) -> None:
    """Delete a response with its items and its log.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(responses).where(responses.c.id == response_id)):
        await get(scope, response_id)


async def output(scope: Scope, response_id: str) -> list[Item]:
    """What a response gave, in order."""
    rows = await scope.all(
        scope.select(response_items, response_items.c.item)
        .where(response_items.c.response_id == response_id, response_items.c.given.is_(False))
        .order_by(response_items.c.position)
    )
    return [row.item for row in rows]


async def given(scope: Scope, response_id: str) -> list[Item]:
    """What a response itself was given, in order."""
    rows = await scope.all(
        scope.select(response_items, response_items.c.item)
        .where(response_items.c.response_id == response_id, response_items.c.given.is_(True))
        .order_by(response_items.c.position)
    )
    return [row.item for row in rows]


async def chain(scope: Scope, response_id: str, *, may_be_broken: bool = False) -> list[Item]:
    """All that was said up to the end of a response, from the first of those that it goes on from.

    With ``may_be_broken`` only as far back as there are responses, if there are any.

    Raises:
        NotFound: the owner has none of this id.
        InvalidParameter: one that it goes on from was deleted, or all of it is more than is read at once.
    """
    path = (
        scope.select(responses, responses.c.id, responses.c.previous_id, literal(0).label("height"))
        .where(responses.c.id == response_id)
        .cte("path", recursive=True)
    )
    above = scope.select(responses, responses.c.id, responses.c.previous_id, path.c.height + 1).where(
        responses.c.id == path.c.previous_id
    )
    path = path.union_all(above)
    links = await scope.all(select(path).order_by(path.c.height.desc()))
    if not links and not may_be_broken:
        await get(scope, response_id, "previous_response_id")
    if links and links[0].previous_id is not None and not may_be_broken:
        raise InvalidParameter(
            f"The response {links[0].previous_id}, from which {response_id} goes on, was deleted; "
            "send the conversation as 'input'.",
            param="previous_response_id",
        )
    column = response_items.c.item
    statement = scope.select(response_items, column).where(response_items.c.response_id == path.c.id)
    what = f"The conversation up to the response {response_id}"
    await check_size(scope, statement, column, what, "previous_response_id")
    rows = await scope.all(statement.order_by(path.c.height.desc(), response_items.c.position))
    return [row.item for row in rows]


async def items_of_ids(scope: Scope, ids: Iterable[str]) -> dict[str, Item]:
    """Those of the given items that are stored with any response, by id.

    Raises:
        InvalidParameter: all of them are more than is read at once.
    """
    column = response_items.c.item
    statement = scope.select(response_items, column).where(response_items.c.id.in_(list(ids)))
    await check_size(scope, statement, column, "What 'input' refers to", "input")
    return {row.item["id"]: row.item for row in await scope.all(statement)}


async def append_events(transaction: Transaction, events: Iterable[tuple[str, str, int, bytes]]) -> None:
    """Append to the logs of any owners' responses, as (owner, response id, number, frame), in one statement."""
    rows = [
        {"owner": owner, "response_id": response_id, "seq": seq, "frame": frame.decode()}
        for owner, response_id, seq, frame in events
    ]
    if rows:
        await transaction.add_missing(response_events, rows)


async def events(scope: Scope, response_id: str, after: int, limit: int) -> list[tuple[int, bytes]]:
    """A part of a log, after event number ``after``."""
    rows = await scope.all(
        scope.select(response_events, response_events.c.seq, response_events.c.frame)
        .where(response_events.c.response_id == response_id, response_events.c.seq > after)
        .order_by(response_events.c.seq)
        .limit(limit)
    )
    return [(row.seq, row.frame.encode()) for row in rows]


async def missing(transaction: Transaction, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (owner, response id) of which there is no response."""
    place = tuple_(responses.c.owner, responses.c.id)
    found = await transaction.connection.execute(select(responses.c.owner, responses.c.id).where(place.in_(list(keys))))
    return set(keys) - {(row.owner, row.id) for row in found}


async def left_open(transaction: Transaction, living: Collection[int] | None) -> list[tuple[str, StoredResponse]]:
    """Every owner's open responses that no process writes any more (see `myna.store.runs.left_open`)."""
    statement = select(responses.c.owner, *COLUMNS).where(responses.c.status.in_(OPEN)).order_by(responses.c.id)
    if living is not None:
        statement = statement.where(or_(responses.c.server.is_(None), responses.c.server.not_in(living)))
    rows = await transaction.connection.execute(statement)
    return [(row.owner, _response_of(row)) for row in rows]


async def drop_old_events(transaction: Transaction) -> None:
    """Drop the logs of all that ended some time ago."""
    old = select(responses.c.owner, responses.c.id).where(
        and_(responses.c.ended_at < now() - 1000 * KEEP_EVENTS_SECONDS, responses.c.last_event != NO_EVENTS)
    )
    place = tuple_(response_events.c.owner, response_events.c.response_id)
    await transaction.connection.execute(delete(response_events).where(place.in_(old)))


def _response_of(row: Row[Any]) -> StoredResponse:
    values = dict(row._mapping)
    del values["owner"]
    return StoredResponse(**values)


async def _add_items(scope: Scope, response_id: str, items: Sequence[Item], first: int, *, given: bool) -> None:
    await scope.add(
        response_items,
        *(
            {"response_id": response_id, "position": first + index, "given": given, "id": item["id"], "item": item}
            for index, item in enumerate(items)
        ),
    )
