"""Uploads: files that come in parts, each of which is stored when it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, delete, select, update

from myna.errors import NotFound
from myna.store.scope import Scope, Transaction
from myna.store.tables.files import upload_parts, uploads

Status = Literal["pending", "completed", "cancelled", "expired"]

COLUMNS = [column for column in uploads.c if column is not uploads.c.owner]
PART_COLUMNS = [column for column in upload_parts.c if column is not upload_parts.c.owner]

REMEMBERED = 86_400_000
"""Milliseconds for which an upload that is over is still known, so that asking again gets the same answer."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in the making. Times are Unix milliseconds.

    Attributes:
        bytes: what its parts must have together.
        keep_seconds: how long the file is to be kept; None: until it is deleted.
        part_ids: what the file was made of, when it is complete.
        file: columns of the file as it was made; it may be deleted since.
    """

    id: str
    filename: str
    purpose: str
    bytes: int
    status: Status
    created_at: int
    expires_at: int
    keep_seconds: int | None
    part_ids: list[str] | None = None
    file: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file, in a blob of its own. ``created_at`` is in Unix milliseconds."""

    upload_id: str
    id: str
    bytes: int
    blob: str
    created_at: int


def _upload(row: Row[Any], now: int) -> Upload:
    values = dict(row._mapping)
    if values["status"] == "pending" and values["expires_at"] <= now:
        values["status"] = "expired"
    return Upload(**values)


async def get(scope: Scope, upload_id: str, now: int) -> Upload:
    """An upload, expired as soon as its time is over.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(scope.select(uploads, *COLUMNS).where(uploads.c.id == upload_id))
    if row is None:
        raise NotFound(f"There is no upload {upload_id!r}.", param="upload_id")
    return _upload(row, now)


async def add(scope: Scope, upload: Upload) -> None:
    """Insert an upload."""
    await scope.add(uploads, {column.name: getattr(upload, column.name) for column in COLUMNS})


async def parts(scope: Scope, upload_id: str) -> dict[str, Part]:
    """An upload's parts by id, in the order in which they came."""
    statement = scope.select(upload_parts, *PART_COLUMNS).where(upload_parts.c.upload_id == upload_id)
    return {row.id: Part(**row._mapping) for row in await scope.all(statement.order_by(upload_parts.c.id))}


async def add_part(scope: Scope, part: Part) -> None:
    """Insert a part whose blob is written."""
    await scope.add(upload_parts, {column.name: getattr(part, column.name) for column in PART_COLUMNS})


async def finish(
    scope: Scope,
    upload_id: str,
    status: Status,
    *,
    part_ids: list[str] | None = None,
    file: dict[str, Any] | None = None,
) -> list[str]:
    """End an upload and forget its parts: the blobs that nothing refers to any more."""
    statement = scope.update(uploads).where(uploads.c.id == upload_id)
    await scope.run(statement.values(status=status, part_ids=part_ids, file=file))
    gone = scope.delete(upload_parts).where(upload_parts.c.upload_id == upload_id)
    return [row.blob for row in await scope.all(gone.returning(upload_parts.c.blob))]


async def remove_expired(transaction: Transaction, now: int) -> list[tuple[str, str]]:
    """End every owner's uploads whose time is over, and forget old ones: (owner, blob) of the parts that go."""
    over = select(uploads.c.id).where(
        uploads.c.owner == upload_parts.c.owner, uploads.c.id == upload_parts.c.upload_id, uploads.c.expires_at <= now
    )
    gone = delete(upload_parts).where(over.exists()).returning(upload_parts.c.owner, upload_parts.c.blob)
    blobs = [(row.owner, row.blob) for row in await transaction.connection.execute(gone)]
    pending = update(uploads).where(uploads.c.status == "pending", uploads.c.expires_at <= now)
    await transaction.connection.execute(pending.values(status="expired"))
    await transaction.connection.execute(delete(uploads).where(uploads.c.expires_at <= now - REMEMBERED))
    return blobs
