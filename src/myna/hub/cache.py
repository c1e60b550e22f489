"""Model files on disk, by content: written whole or not at all, and shared by every process of this user.

::

    models/
      blobs/<sha256>.gguf     models of one file
      blobs/<digest>          files of models of several
      trees/<name>/           such a model's directory: links to its blobs under their own names
      names/<name>.json       what a name means, where it came from and when
      partial/<digest>        downloads that are not complete
      locks/<digest>.lock     held by the process that fetches this file
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from myna.errors import HashMismatch
from myna.hub.sources import RemoteFile

LOCK_POLL_SECONDS = 0.2
CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One name and what it means; ``pulled_at`` in Unix seconds.

    A model of several files has ``files``, and ``sha256`` is that of their list; ``main`` is the one that is the model,
    where it is not the directory.
    """

    name: str
    sha256: str
    bytes: int
    source: str
    pulled_at: float
    files: tuple[RemoteFile, ...] = ()
    main: str | None = None


class Cache:
    """The directory above."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def blob(self, digest: str) -> Path:
        """Where a model of one file lies, or would."""
        return self.directory / "blobs" / f"{digest}.gguf"

    def part(self, digest: str) -> Path:
        """Where a file of a model of several lies, or would."""
        return self.directory / "blobs" / digest

    def path(self, entry: CacheEntry) -> Path:
        """The model: its file or its directory."""
        if not entry.files:
            return self.blob(entry.sha256)
        tree = self._tree(entry.name)
        return tree / entry.main if entry.main else tree

    def lookup(self, name: str) -> CacheEntry | None:
        """The entry of that name, if its files are there and whole."""
        entry = self._read(self._name_path(name))
        return entry if entry is not None and self._is_whole(entry) else None

    def entries(self) -> list[CacheEntry]:
        """All names whose files are there, sorted."""
        found = map(self._read, (self.directory / "names").glob("*.json"))
        return sorted((entry for entry in found if entry and self._is_whole(entry)), key=lambda entry: entry.name)

    def partial(self, digest: str) -> Path:
        """Where a download of that digest gathers."""
        path = self.directory / "partial" / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def workspace(self, digest: str) -> Iterator[Path]:
        """An empty directory where a source may put what it needs meanwhile."""
        path = self.partial(digest).with_suffix(".work")
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def lock(self, digest: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of one file; ``waiting`` is called several times a second while another process has it."""
        from filelock import FileLock, Timeout

        path = self.directory / "locks" / f"{digest}.lock"
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

    def commit(self, digest: str, size: int, blob: Path) -> None:
        """Make the partial file of that digest ``blob``. Raises HashMismatch, and deletes it, when it is another."""
        partial = self.partial(digest)
        actual = git_hash(partial) if digest.startswith("git-") else file_hash(partial)
        if actual != digest or partial.stat().st_size != size:
            partial.unlink()
            raise HashMismatch(
                f"What arrived has the hash {actual}, not {digest} as promised, and was deleted. "
                "Try again; if it happens twice, the source is not to be trusted."
            )
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        blob.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(blob)

    def record(self, entry: CacheEntry) -> Path:
        """Let a name mean what its entry says, with the directory of a model of several files; returns the model."""
        if entry.files:
            self._plant(entry)
        path = self._name_path(entry.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        draft.replace(path)
        return self.path(entry)

    def remove(self, entry: CacheEntry) -> int:
        """Forget a name, and delete its files but for those that another name means too. Returns the bytes freed."""
        self._name_path(entry.name).unlink(missing_ok=True)
        others = self.entries()
        if not entry.files:
            if any(other.sha256 == entry.sha256 for other in others):
                return 0
            self.blob(entry.sha256).unlink(missing_ok=True)
            return entry.bytes
        shutil.rmtree(self._tree(entry.name), ignore_errors=True)
        kept = {file.digest for other in others for file in other.files}
        freed = {file.digest: file.bytes for file in entry.files if file.digest not in kept}
        for digest in freed:
            self.part(digest).unlink(missing_ok=True)
        return sum(freed.values())

    def _plant(self, entry: CacheEntry) -> None:
        """Make the directory of a model: hard links where the disk has them, else copies. Whole or not at all."""
        tree = self._tree(entry.name)
        for left in tree.parent.glob(f"{tree.name}.*.tmp"):  # by processes that were killed here
            shutil.rmtree(left, ignore_errors=True)
        draft = tree.with_name(f"{tree.name}.{os.getpid()}.tmp")
        for file in entry.files:
            path = draft / PurePosixPath(file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.hardlink_to(self.part(file.digest))
            except OSError:
                shutil.copyfile(self.part(file.digest), path)
        shutil.rmtree(tree, ignore_errors=True)
        draft.replace(tree)

    def _is_whole(self, entry: CacheEntry) -> bool:
        if not entry.files:
            return has_size(self.blob(entry.sha256), entry.bytes)
        tree = self._tree(entry.name)
        return all(has_size(tree / PurePosixPath(file.path), file.bytes) for file in entry.files)

    def _name_path(self, name: str) -> Path:
        return self.directory / "names" / f"{quote(name, safe='')}.json"

    def _tree(self, name: str) -> Path:
        return self.directory / "trees" / quote(name, safe="")

    def _read(self, path: Path) -> CacheEntry | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            fields = json.loads(path.read_text(encoding="utf-8"))
            files = tuple(RemoteFile(**file) for file in fields.pop("files", ()))
            return CacheEntry(**fields, files=files)
        return None


def has_size(path: Path, size: int) -> bool:
    """Whether a file is there and has its size; one that a crash of the machine cut short has not."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def file_hash(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_hash(path: Path) -> str:
    """``git-`` and the hash by which Git knows a file's content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return f"git-{digest.hexdigest()}"
