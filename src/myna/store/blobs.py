"""Files' contents on the disk, below ``files`` in the data directory: one a blob, a directory an owner.

A blob is written beside its place, synced, and then renamed: it is whole or it is not there. Both parts of its path
are made here, never taken from what somebody sent. Rows say which blobs are wanted (see `myna.store.files`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Set
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from myna.errors import NotFound, StorageFull, StoreError, TooLarge

BLOCK_BYTES = 256 << 10
"""Read and written at once: enough that threads and system calls cost little, and all that is in memory."""

UNCLAIMED = ".unclaimed"
"""Directory of blobs that no row wants."""
UNCLAIMED_SECONDS = 30 * 86400
"""How long one is kept there. It may belong to a database that is put back: a backup, another server."""

_OWNER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BLOB = re.compile(r"[0-9a-f]{32}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Blob:
    """What was written. ``sha256`` is in hexadecimal digits."""

    id: str
    bytes: int
    sha256: str


class Blobs:
    """The blobs of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "files"
        self.drafts = self.root / ".drafts"
        self.unclaimed = self.root / UNCLAIMED

    def path(self, owner: str, blob_id: str) -> Path:
        """Where a blob lies, or would."""
        assert _OWNER.fullmatch(owner), owner
        assert _BLOB.fullmatch(blob_id), blob_id
        return self.root / owner / blob_id

    async def prepare(self, wanted: Set[tuple[str, str]] | None) -> int:
        """Create the directories; remove what a killed process left: drafts, and in time what nothing wants.

        Args:
            wanted: (owner, blob id) of every row; nothing may be written until this is over. None: others write here
                already, and nothing is removed.

        Returns:
            How many blobs were found that nothing wants. They are put aside, and put back if a later start wants them.

        Raises:
            StoreError: the directory cannot be used.
        """
        return await asyncio.to_thread(self._prepare, wanted)

    async def create(self, owner: str, chunks: AsyncIterator[bytes], most: int) -> Blob:
        """Write a blob as its bytes come, a block of them in memory; whatever fails, nothing stays behind.

        Args:
            owner: whose blob it is.
            chunks: its contents, in pieces of any size.
            most: bytes it may have.

        Raises:
            TooLarge: more than that came.
            StorageFull: the disk is full.
            StoreError: it could not be written for another reason.
            Whatever ``chunks`` raises.
        """
        blob_id = secrets.token_hex(16)
        draft = _Draft(self.drafts / blob_id)
        try:
            block: list[bytes] = []
            pending = total = 0
            async for chunk in chunks:
                block.append(chunk)
                pending += len(chunk)
                total += len(chunk)
                if total > most:
                    raise TooLarge(f"This is larger than the {most} bytes that it may have.")
                if pending >= BLOCK_BYTES:
                    await asyncio.to_thread(draft.write, block)
                    block, pending = [], 0
            await asyncio.to_thread(draft.keep, block, self.path(owner, blob_id))
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(draft.discard))
            if isinstance(error, OSError):
                raise _explain(error) from error
            raise
        return Blob(blob_id, total, draft.digest.hexdigest())

    async def read(self, owner: str, blob_id: str) -> AsyncGenerator[bytes, None]:
        """A blob's contents, a block at a time.

        Raises:
            NotFound: it is gone from the disk.
        """
        try:
            file = await asyncio.to_thread(self.path(owner, blob_id).open, "rb", 0)
        except FileNotFoundError:
            raise NotFound("The content of this file is gone from the disk.") from None
        with file:
            while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
                yield block

    async def delete(self, owner: str, blob_id: str) -> None:
        """Remove a blob, if it is there. One that the system holds on to is removed at the next start."""

        def unlink() -> None:
            with contextlib.suppress(OSError):
                self.path(owner, blob_id).unlink()

        await asyncio.to_thread(unlink)

    def _prepare(self, wanted: Set[tuple[str, str]] | None) -> int:
        try:
            if wanted is not None:
                shutil.rmtree(self.drafts, ignore_errors=True)
            self.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.root.chmod(0o700)
            if wanted is None:
                return 0
            there = set(_blobs(self.root))
            for key in there - wanted:
                _move(self.root, self.unclaimed, key)
            for key in set(_blobs(self.unclaimed)) & wanted - there:
                _move(self.unclaimed, self.root, key)
            for owner, blob_id in set(_blobs(self.unclaimed)):
                path = self.unclaimed / owner / blob_id
                if path.stat().st_mtime < time.time() - UNCLAIMED_SECONDS:
                    path.unlink()
            return len(there - wanted)
        except OSError as error:
            raise _explain(error) from error


class _Draft:
    """A blob on its way. Each method runs in a thread; one that was given up may still run when the next begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = hashlib.sha256()
        self._file: FileIO | None = None
        self._given_up = False
        self._turn = threading.Lock()

    def write(self, block: list[bytes]) -> None:
        with self._turn:
            self._write(block)

    def keep(self, block: list[bytes], place: Path) -> None:
        """Write the rest, make sure that the disk has it, and move it to its place."""
        with self._turn:
            self._write(block)
            if self._file is None:
                return
            os.fsync(self._file.fileno())
            self._file.close()
            place.parent.mkdir(exist_ok=True, mode=0o700)
            self.path.replace(place)
            self.path = place
            _sync_directory(place.parent)

    def discard(self) -> None:
        with self._turn:
            self._given_up = True
            if self._file is not None:
                with contextlib.suppress(OSError):  # what is not yet written need not be
                    self._file.close()
                with contextlib.suppress(OSError):
                    self.path.unlink()

    def _write(self, block: list[bytes]) -> None:
        if self._given_up:
            return
        if self._file is None:
            self._file = FileIO(self.path, "xb", opener=_private)
        data = memoryview(b"".join(block))
        self.digest.update(data)
        while data:
            data = data[self._file.write(data) :]


def _blobs(root: Path) -> Iterator[tuple[str, str]]:
    """(owner, id) of each blob below a directory; what else lies there is left alone."""
    for directory in root.iterdir() if root.is_dir() else ():
        if directory.is_dir() and _OWNER.fullmatch(directory.name):
            yield from ((directory.name, path.name) for path in directory.iterdir() if _BLOB.fullmatch(path.name))


def _move(source: Path, target: Path, key: tuple[str, str]) -> None:
    owner, blob_id = key
    (target / owner).mkdir(parents=True, exist_ok=True, mode=0o700)
    path = (source / owner / blob_id).replace(target / owner / blob_id)
    os.utime(path)  # its time counts from now


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_directory(path: Path) -> None:
    """Make a rename last through a power cut. Windows cannot, and need not."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError) -> StoreError:
    if error.errno in _FULL:
        return StorageFull("There is no room on the server's disk for this file; nothing of it was kept.")
    return StoreError(f"Files cannot be kept on the server's disk: {error.strerror or error}.")
