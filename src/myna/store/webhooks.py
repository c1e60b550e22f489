"""Webhook endpoints, and deliveries: a row for as long as one is to be tried."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, select

from myna.errors import NotFound
from myna.store.pages import Page, PageRequest, page
from myna.store.scope import Scope, Transaction
from myna.store.tables.webhooks import deliveries, endpoints

COLUMNS = [column for column in endpoints.c if column is not endpoints.c.owner]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a user's events are sent. Times are Unix milliseconds.

    Attributes:
        secret: signs what is sent; an ``old_secret`` signs too, until ``old_secret_until``.
        private: whether it may lie in a private network, which its maker's role decides.
    """

    id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    secret: str
    old_secret: str | None
    old_secret_until: int | None
    private: bool
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to an endpoint; ``body`` is what is sent. Times are Unix milliseconds."""

    owner: str
    id: str
    endpoint_id: str
    event_type: str
    body: str
    attempts: int
    next_at: int
    created_at: int


def _endpoint(row: Row[Any]) -> Endpoint:
    values = dict(row._mapping)
    return Endpoint(**values | {"event_types": tuple(values["event_types"])})


async def get(scope: Scope, endpoint_id: str) -> Endpoint:
    """An endpoint.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(scope.select(endpoints, *COLUMNS).where(endpoints.c.id == endpoint_id))
    if row is None:
        raise NotFound(f"There is no webhook endpoint {endpoint_id!r}.", param="webhook_endpoint_id")
    return _endpoint(row)


async def listed(scope: Scope, wanted: PageRequest) -> Page[Endpoint]:
    """A part of the owner's endpoints."""
    return await page(scope, scope.select(endpoints, *COLUMNS), endpoints.c.id, wanted, _endpoint)


async def count(scope: Scope) -> int:
    """How many endpoints the owner has."""
    row = await scope.first(select(func.count().label("number")).where(endpoints.c.owner == scope.owner))
    assert row is not None
    return int(row.number)


async def add(scope: Scope, endpoint: Endpoint) -> None:
    """Insert an endpoint."""
    values = {column.name: getattr(endpoint, column.name) for column in COLUMNS}
    await scope.add(endpoints, values | {"event_types": list(endpoint.event_types)})


async def update(scope: Scope, endpoint_id: str, **values: Any) -> Endpoint:
    """Change columns of an endpoint.

    Raises:
        NotFound: the owner has none of this id.
    """
    await get(scope, endpoint_id)
    await scope.run(scope.update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))
    return await get(scope, endpoint_id)


async def remove(scope: Scope, endpoint_id: str) -> None:
    """Delete an endpoint with what was to be delivered to it.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(endpoints).where(endpoints.c.id == endpoint_id)):
        raise NotFound(f"There is no webhook endpoint {endpoint_id!r}.", param="webhook_endpoint_id")


async def subscribed(scope: Scope, event_type: str) -> list[str]:
    """Ids of the owner's endpoints that take events of a type."""
    rows = await scope.all(scope.select(endpoints, endpoints.c.id, endpoints.c.event_types))
    return [row.id for row in rows if event_type in row.event_types]


async def enqueue(scope: Scope, *queued: Delivery) -> None:
    """Insert deliveries of the scope's owner."""
    rows = [{column.name: getattr(each, column.name) for column in deliveries.c} for each in queued]
    await scope.add(deliveries, *rows)


async def due(
    transaction: Transaction, now: int, busy: Set[tuple[str, str]], limit: int
) -> list[tuple[Delivery, Endpoint]]:
    """For endpoints that are not busy, each one's oldest delivery whose time has come, of any owner.

    Those that were tried least come first, then the oldest.

    Args:
        transaction: of any kind.
        now: Unix milliseconds.
        busy: (owner, endpoint id) of those that something is being sent to.
        limit: how many at most.
    """
    oldest = (
        select(deliveries.c.owner, func.min(deliveries.c.id).label("id"))
        .where(deliveries.c.next_at <= now)
        .group_by(deliveries.c.owner, deliveries.c.endpoint_id)
        .subquery()
    )
    endpoint_columns = [column.label(f"to_{column.name}") for column in COLUMNS]
    statement = (
        select(*deliveries.c, *endpoint_columns)
        .join(oldest, and_(oldest.c.owner == deliveries.c.owner, oldest.c.id == deliveries.c.id))
        .join(endpoints, and_(endpoints.c.owner == deliveries.c.owner, endpoints.c.id == deliveries.c.endpoint_id))
        .order_by(deliveries.c.attempts, deliveries.c.id)
        .limit(limit + len(busy))
    )
    found = []
    for row in await transaction.connection.execute(statement):
        values = row._mapping
        delivery = Delivery(**{column.name: values[column] for column in deliveries.c})
        if (delivery.owner, delivery.endpoint_id) in busy:
            continue
        columns = {column.name: values[label.name] for column, label in zip(COLUMNS, endpoint_columns, strict=True)}
        found.append((delivery, Endpoint(**columns | {"event_types": tuple(columns["event_types"])})))
    return found[:limit]


async def next_time(transaction: Transaction, after: int) -> int | None:
    """When the next delivery comes due after a time; None if none does."""
    statement = select(func.min(deliveries.c.next_at).label("next_at")).where(deliveries.c.next_at > after)
    row = (await transaction.connection.execute(statement)).first()
    assert row is not None
    return None if row.next_at is None else int(row.next_at)


async def delivered(scope: Scope, delivery_id: str) -> None:
    """Forget a delivery: it arrived, or was given up."""
    await scope.run(scope.delete(deliveries).where(deliveries.c.id == delivery_id))


async def postpone(scope: Scope, delivery_id: str, attempts: int, next_at: int) -> None:
    """Note that a delivery failed so often, and when it is tried again."""
    await scope.run(
        scope.update(deliveries).where(deliveries.c.id == delivery_id).values(attempts=attempts, next_at=next_at)
    )
