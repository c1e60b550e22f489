"""The files of a server: a row and a blob each, kept in step.

A row is added after its blob is on the disk, and a blob removed after its row is gone; what a crash leaves between the
two is a blob without a row, which a start puts aside and a later one removes. An expired file is gone for who asks at
once, and from the disk soon after.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from myna.errors import InvalidParameter, StoreError, TooLarge
from myna.server.limits import MAX_BODY_BYTES
from myna.server.tasks import beside
from myna.settings import Settings
from myna.store import files, uploads
from myna.store.blobs import Blob, Blobs
from myna.store.database import Database
from myna.store.files import StoredFile
from myna.store.pages import Page, PageRequest, new_id
from myna.store.records import now
from myna.store.scope import Scope

SWEEP_SECONDS = 300
"""Between looks at what has expired."""

logger = logging.getLogger(__name__)


class FileService:
    """What users keep here as files. Open it with `open_files`."""

    def __init__(self, database: Database, blobs: Blobs, settings: Settings) -> None:
        self.database = database
        self.blobs = blobs
        self.most = settings.max_upload_bytes
        self.most_stored = settings.max_stored_bytes

    async def write(self, owner: str, chunks: AsyncIterator[bytes], most: int | None = None) -> Blob:
        """Write a blob that is yet to become a file: it must be kept or discarded.

        Args:
            owner: whose it is.
            chunks: its contents.
            most: bytes it may have; what any file may, if None.

        Raises:
            TooLarge: larger than a file may be, or than what the owner may still store.
            StorageFull, StoreError: it cannot be written; nothing of it is kept.
            Whatever ``chunks`` raises.
        """
        most = self.most if most is None else min(most, self.most)
        async with self.database.read(owner) as scope:
            room = await self._room(scope)
        if room is not None and room < most:
            try:
                return await self.blobs.create(owner, chunks, max(room, 0))
            except TooLarge:
                raise self._stored_too_much() from None
        return await self.blobs.create(owner, chunks, most)

    async def keep(
        self, owner: str, blob: Blob, filename: str, purpose: str, keep_seconds: int | None = None
    ) -> StoredFile:
        """Make a blob a file, as `new_file` does, with a row; if that fails, the blob is discarded.

        Raises:
            TooLarge: the owner has stored so much meanwhile that this is too much.
            StoreError: the row cannot be written.
        """
        file = new_file(blob, filename, purpose, keep_seconds)
        async with self.placing(owner, blob) as scope:
            await self.check_room(scope, blob.bytes)
            await files.add(scope, file)
        return file

    async def get(self, owner: str, file_id: str) -> StoredFile:
        """A file.

        Raises:
            NotFound: the owner has none of this id, or it has expired.
        """
        async with self.database.read(owner) as scope:
            return await files.get(scope, file_id, now())

    async def listed(self, owner: str, wanted: PageRequest, *, purpose: str | None = None) -> Page[StoredFile]:
        """A part of the owner's files, of one purpose or of all."""
        async with self.database.read(owner) as scope:
            return await files.listed(scope, wanted, now(), purpose=purpose)

    async def delete(self, owner: str, file_id: str) -> None:
        """Delete a file.

        Raises:
            NotFound: as `get`.
        """
        async with self.database.write(owner) as scope:
            blob = await files.remove(scope, file_id, now())
        await self.blobs.delete(owner, blob)

    def path(self, owner: str, file: StoredFile) -> Path:
        """Where the file's contents lie."""
        return self.blobs.path(owner, file.blob)

    async def lines(self, owner: str, file_id: str) -> AsyncGenerator[bytes, None]:
        r"""The lines of a file in order, each without its ``\n``; a block of them is in memory.

        Raises:
            NotFound: no such file, or its contents are gone.
            InvalidParameter: a line is longer than any request may be.
        """
        file = await self.get(owner, file_id)
        rest = b""
        async with aclosing(self.blobs.read(owner, file.blob)) as blocks:
            async for block in blocks:
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    yield line
                if len(rest) > MAX_BODY_BYTES:
                    raise InvalidParameter(f"A line of file {file_id} is longer than {MAX_BODY_BYTES >> 20} MiB.")
        if rest:
            yield rest

    async def check_room(self, scope: Scope, more: int) -> None:
        """Whether the owner may store so many bytes more.

        Raises:
            TooLarge: no.
        """
        room = await self._room(scope)
        if room is not None and more > room:
            raise self._stored_too_much()

    @asynccontextmanager
    async def placing(self, owner: str, blob: Blob) -> AsyncIterator[Scope]:
        """A transaction that gives a blob its row; without its commit, the blob is discarded."""
        committed = asyncio.Event()
        try:
            async with self.database.write(owner) as scope:
                scope.transaction.after_commit.append(committed.set)
                yield scope
        except BaseException:
            if not committed.is_set():
                await asyncio.shield(self.blobs.delete(owner, blob.id))
            raise

    async def discard(self, blobs: Iterable[tuple[str, str]]) -> None:
        """Remove blobs, each an (owner, id), whose rows are gone."""
        for owner, blob in blobs:
            await self.blobs.delete(owner, blob)

    async def sweep(self) -> None:
        """Remove what has expired."""
        async with self.database.transaction() as transaction:
            at = now()
            expired = await files.remove_expired(transaction, at) + await uploads.remove_expired(transaction, at)
        await self.discard(expired)

    async def sweep_forever(self) -> None:
        """Remove what has expired, now and from time to time."""
        while True:
            try:
                await self.sweep()
            except StoreError as error:
                logger.warning("Expired files could not be removed: %s", error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _room(self, scope: Scope) -> int | None:
        """Bytes that the owner may still store; None if nothing limits them."""
        return self.most_stored - await files.stored_bytes(scope) if self.most_stored else None

    def _stored_too_much(self) -> TooLarge:
        return TooLarge(
            f"Your files may take {self.most_stored} bytes in all, and with this one they would take more. "
            "Delete some that you no longer need."
        )


def new_file(blob: Blob, filename: str, purpose: str, keep_seconds: int | None) -> StoredFile:
    """A file that is created now.

    Args:
        blob: its contents.
        filename: as it was given; it never becomes a path.
        purpose: what it is for.
        keep_seconds: how long it is kept; until it is deleted, if None.
    """
    created = now()
    expires = None if keep_seconds is None else created + keep_seconds * 1000
    return StoredFile(new_id("file-"), filename, purpose, blob.bytes, blob.sha256, blob.id, created, expires)


@asynccontextmanager
async def open_files(database: Database, settings: Settings) -> AsyncIterator[FileService]:
    """The files of a data directory, and a task that removes what expires, for as long as the block runs.

    Raises:
        StoreError: the directory for files cannot be used.
    """
    blobs = Blobs(settings.data_dir)
    async with database.transaction() as transaction:
        living = await database.living(transaction)
        # Another process that shares the database may be writing a blob whose row is yet to come.
        alone = living is None or living <= {database.server}
        wanted = await files.blobs(transaction) if alone else None
    if unclaimed := await blobs.prepare(wanted):
        logger.warning("Put %d files aside that are not in the database; they are removed after 30 days.", unclaimed)
    service = FileService(database, blobs, settings)
    async with beside(service.sweep_forever()):
        yield service
