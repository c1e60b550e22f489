"""Rows of files: what they are called, what they are for, how long they are kept, and which blob holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, or_, select

from myna.errors import NotFound
from myna.store.pages import Page, PageRequest, page
from myna.store.scope import Scope, Transaction
from myna.store.tables.files import files, upload_parts

COLUMNS = [column for column in files.c if column is not files.c.owner]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a user keeps here. Times are Unix milliseconds; ``sha256`` is in hexadecimal digits."""

    id: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    blob: str
    created_at: int
    expires_at: int | None


def _file(row: Row[Any]) -> StoredFile:
    return StoredFile(**row._mapping)


def _alive(now: int) -> ColumnElement[bool]:
    return or_(files.c.expires_at.is_(None), files.c.expires_at > now)


async def find(scope: Scope, file_id: str, now: int) -> StoredFile | None:
    """A file, or None if the owner has none of this id that has not expired."""
    row = await scope.first(scope.select(files, *COLUMNS).where(files.c.id == file_id, _alive(now)))
    return None if row is None else _file(row)


async def get(scope: Scope, file_id: str, now: int) -> StoredFile:
    """A file.

    Raises:
        NotFound: the owner has none of this id, or it has expired.
    """
    file = await find(scope, file_id, now)
    if file is None:
        raise NotFound(f"There is no file {file_id!r}; it may have expired or been deleted.", param="file_id")
    return file


async def listed(scope: Scope, wanted: PageRequest, now: int, *, purpose: str | None = None) -> Page[StoredFile]:
    """Files that have not expired, of one purpose or of all."""
    statement = scope.select(files, *COLUMNS).where(_alive(now))
    if purpose is not None:
        statement = statement.where(files.c.purpose == purpose)
    return await page(scope, statement, files.c.id, wanted, _file)


async def add(scope: Scope, file: StoredFile) -> None:
    """Insert a file whose blob is written."""
    await scope.add(files, {column.name: getattr(file, column.name) for column in COLUMNS})


async def remove(scope: Scope, file_id: str, now: int) -> str:
    """Delete a row; the blob that nothing refers to any more.

    Raises:
        NotFound: the owner has no such file.
    """
    file = await get(scope, file_id, now)
    await scope.run(scope.delete(files).where(files.c.id == file_id))
    return file.blob


async def stored_bytes(scope: Scope) -> int:
    """How much an owner keeps here: files, and parts of uploads that are not complete."""
    kept = select(func.coalesce(func.sum(files.c.bytes), 0)).where(files.c.owner == scope.owner).scalar_subquery()
    parts = (
        select(func.coalesce(func.sum(upload_parts.c.bytes), 0))
        .where(upload_parts.c.owner == scope.owner)
        .scalar_subquery()
    )
    row = await scope.first(select((kept + parts).label("bytes")))
    assert row is not None
    return int(row.bytes)


async def remove_expired(transaction: Transaction, now: int) -> list[tuple[str, str]]:
    """Delete every owner's files whose time is over: (owner, blob) of each."""
    statement = delete(files).where(files.c.expires_at <= now).returning(files.c.owner, files.c.blob)
    return [(row.owner, row.blob) for row in await transaction.connection.execute(statement)]


async def blobs(transaction: Transaction) -> set[tuple[str, str]]:
    """(owner, blob) of every file and part there is."""
    statement = select(files.c.owner, files.c.blob).union_all(select(upload_parts.c.owner, upload_parts.c.blob))
    return {(row.owner, row.blob) for row in await transaction.connection.execute(statement)}
