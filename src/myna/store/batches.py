"""Rows of batches: what was asked for, and how far each has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, func, select

from myna.errors import NotFound
from myna.store.pages import Page, PageRequest, page
from myna.store.scope import Scope, Transaction
from myna.store.tables.batches import batches

COLUMNS = [column for column in batches.c if column is not batches.c.owner]

Status = Literal["validating", "in_progress", "finalizing", "cancelling", "completed", "failed", "expired", "cancelled"]
OPEN: tuple[Status, ...] = ("validating", "in_progress", "finalizing", "cancelling")


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch. Times are Unix milliseconds; counts and usage are those of the last change of status."""

    id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    metadata: dict[str, str] | None
    keep_seconds: int | None
    key: str | None
    created_at: int
    expires_at: int
    model: str | None = None
    status: Status = "validating"
    errors: list[dict[str, Any]] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    usage: dict[str, int] | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None


def _batch(row: Row[Any]) -> StoredBatch:
    return StoredBatch(**row._mapping)


async def get(scope: Scope, batch_id: str) -> StoredBatch:
    """A batch.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(scope.select(batches, *COLUMNS).where(batches.c.id == batch_id))
    if row is None:
        raise NotFound(f"There is no batch {batch_id!r}.", param="batch_id")
    return _batch(row)


async def listed(scope: Scope, wanted: PageRequest) -> Page[StoredBatch]:
    """A part of the owner's batches."""
    return await page(scope, scope.select(batches, *COLUMNS), batches.c.id, wanted, _batch)


async def count_open(scope: Scope) -> int:
    """How many of the owner's batches are not over."""
    row = await scope.first(scope.select(batches, func.count().label("open")).where(batches.c.status.in_(OPEN)))
    assert row is not None
    return int(row.open)


async def add(scope: Scope, batch: StoredBatch) -> None:
    """Insert a batch."""
    await scope.add(batches, {column.name: getattr(batch, column.name) for column in COLUMNS})


async def change(scope: Scope, batch_id: str, **values: Any) -> StoredBatch:
    """Set columns; the batch as it is then.

    Raises:
        NotFound: as `get`.
    """
    await scope.run(scope.update(batches).where(batches.c.id == batch_id).values(values))
    return await get(scope, batch_id)


async def left_open(transaction: Transaction) -> list[tuple[str, StoredBatch]]:
    """Every owner's batches that are not over, oldest first."""
    statement = select(batches.c.owner, *COLUMNS).where(batches.c.status.in_(OPEN)).order_by(batches.c.id)
    found = []
    for row in await transaction.connection.execute(statement):
        values = dict(row._mapping)
        found.append((values.pop("owner"), StoredBatch(**values)))
    return found
