"""Model files on disk, by content: written whole or not at all, and shared by every process of this user.

::

    models/
      blobs/<sha256>.gguf     the files
      names/<name>.json       which blob a name means, where it came from and when
      partial/<sha256>        downloads that are not complete
      locks/<sha256>.lock     held by the process that fetches this file
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from myna.errors import HashMismatch

LOCK_POLL_SECONDS = 0.2
CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One name and the file that it means; ``pulled_at`` in Unix seconds."""

    name: str
    sha256: str
    bytes: int
    source: str
    pulled_at: float


class Cache:
    """The directory above."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def blob(self, sha256: str) -> Path:
        """Where a file of that hash lies, or would."""
        return self.directory / "blobs" / f"{sha256}.gguf"

    def has_blob(self, sha256: str, size: int) -> bool:
        """Whether that file is there and has its size; one that a crash of the machine cut short has not."""
        try:
            return self.blob(sha256).stat().st_size == size
        except OSError:
            return False

    def lookup(self, name: str) -> CacheEntry | None:
        """The entry of that name, if its file is there and whole."""
        entry = self._read(self._name_path(name))
        return entry if entry is not None and self.has_blob(entry.sha256, entry.bytes) else None

    def entries(self) -> list[CacheEntry]:
        """All names whose files are there, sorted."""
        found = map(self._read, (self.directory / "names").glob("*.json"))
        there = (entry for entry in found if entry and self.has_blob(entry.sha256, entry.bytes))
        return sorted(there, key=lambda entry: entry.name)

    def partial(self, sha256: str) -> Path:
        """Where a download of that hash gathers."""
        path = self.directory / "partial" / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def workspace(self, sha256: str) -> Path:
        """Where a source of that file may put what it needs meanwhile."""
        return self.partial(sha256).with_suffix(".work")

    @contextmanager
    def lock(self, sha256: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of one file; ``waiting`` is called several times a second while another process has it."""
        from filelock import FileLock, Timeout

        path = self.directory / "locks" / f"{sha256}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        while True:
            try:
                lock.acquire(timeout=LOCK_POLL_SECONDS)
                break
            except Timeout:
                waiting()
        try:
            yield
        finally:
            lock.release()

    def commit(self, sha256: str, size: int) -> Path:
        """Make the partial file of that hash a blob. Raises HashMismatch, and deletes it, when it is not that file."""
        partial, blob = self.partial(sha256), self.blob(sha256)
        actual = file_hash(partial)
        if actual != sha256 or partial.stat().st_size != size:
            partial.unlink()
            raise HashMismatch(
                f"What arrived has the SHA-256 {actual}, not {sha256} as promised, and was deleted. "
                "Try again; if it happens twice, the source is not to be trusted."
            )
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        blob.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(blob)
        return blob

    def record(self, name: str, sha256: str, size: int, source: str) -> CacheEntry:
        """Let a name mean a blob."""
        entry = CacheEntry(name, sha256, size, source, time.time())
        path = self._name_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        draft.replace(path)
        return entry

    def remove(self, entry: CacheEntry) -> int:
        """Forget a name, and delete its file unless another name means it too. Returns the bytes freed."""
        self._name_path(entry.name).unlink(missing_ok=True)
        if any(other.sha256 == entry.sha256 for other in self.entries()):
            return 0
        self.blob(entry.sha256).unlink(missing_ok=True)
        return entry.bytes

    def _name_path(self, name: str) -> Path:
        return self.directory / "names" / f"{quote(name, safe='')}.json"

    def _read(self, path: Path) -> CacheEntry | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return CacheEntry(**json.loads(path.read_text(encoding="utf-8")))
        return None


def file_hash(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
