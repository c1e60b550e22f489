"""A backup of everything that people made: the database, the files they sent, the settings. Models are fetched anew.

It is made beside a running server. The database is copied as of one moment; files are written once and never changed,
so that the ones its rows name are those of that moment too, unless they are deleted meanwhile: then it is copied again.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

import myna
from myna.errors import StorageFull, StoreError
from myna.store import postgres, sqlite, transfer
from myna.store.archive import Writer, blob_name
from myna.store.blobs import Blobs
from myna.store.swap import DATABASE, SETTINGS
from myna.store.upgrade import upgrade

LAST = "last-backup.json"
"""In the directory of backups: when the last one was made, and where it is."""
ATTEMPTS = 5
LOCK = "lock"
"""In the directory of a backup in the making: held by its process."""
JUST_MADE_SECONDS = 60
"""So old such a directory is at least, if its process has had the time to hold it."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made. ``made_at``: Unix milliseconds; ``lost``: files that the disk no longer has."""

    path: str
    bytes: int
    made_at: int
    files: int
    lost: int


def directory(data_dir: Path) -> Path:
    """Where backups lie if nothing else is said."""
    return data_dir / "backups"


def name_for(made_at: int) -> str:
    """The name of a backup made at a moment, so that names sort by age."""
    return f"myna-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(made_at / 1000))}.zip"


def make(data_dir: Path, url: str | None, target: Path, tell: transfer.Tell) -> Backup:
    """Back up a data directory and its database to a new file.

    Raises:
        StoreError: there is nothing to back up, it cannot be read, or the file exists or cannot be written.
    """
    if target.exists():
        raise StoreError(f"{target} exists already; a backup replaces nothing. Give another name.")
    if url is None and sqlite.revision(data_dir / DATABASE) is None:
        raise StoreError(f"There is nothing to back up: {data_dir / DATABASE} does not exist.")
    made_at = time.time_ns() // 1_000_000
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _workspace(target.parent) as folder:
            writer = Writer(target, folder / "draft")
            try:
                lost = _files(data_dir, url, writer, folder / DATABASE, tell)
                tell("compressing the database")
                writer.add(DATABASE, folder / DATABASE)
                schema = sqlite.revision(folder / DATABASE)
                assert schema is not None, "the copy was just made"
                if (settings := data_dir / SETTINGS).is_file():
                    writer.add(SETTINGS, settings)
                writer.finish(version=myna.__version__, made_at=made_at, schema=schema)
            except BaseException:
                writer.discard()
                raise
    except OSError as error:
        raise StorageFull(f"The backup could not be written to {target.parent}: {error.strerror or error}.") from error
    files = sum(name.startswith("files/") for name in writer.members)
    made = Backup(str(target.resolve()), target.stat().st_size, made_at, files, lost)
    _note(data_dir, made)
    return made


def last(data_dir: Path) -> Backup | None:
    """The last backup that was made of a data directory; None if there is none that is known."""
    try:
        return Backup(**json.loads((directory(data_dir) / LAST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete the oldest backups of a directory that go by `name_for`, but for ``keep``; those that were deleted."""
    found = sorted(folder.glob("myna-????????-??????.zip"))
    doomed = found[: max(0, len(found) - keep)]
    for path in doomed:
        path.unlink()
    return doomed


@contextmanager
def _workspace(beside: Path) -> Iterator[Path]:
    """A directory for a backup in the making. What processes that were killed have left is removed."""
    for left in beside.glob(".backup-*"):
        if time.time() - left.stat().st_mtime > JUST_MADE_SECONDS:
            with suppress(Timeout), FileLock(left / LOCK, blocking=False):
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=beside, prefix=".backup-") as folder, FileLock(Path(folder) / LOCK):
        yield Path(folder)


def _files(data_dir: Path, url: str | None, writer: Writer, copy: Path, tell: transfer.Tell) -> int:
    """Copy the database, and the content of every file that its rows name; how many of those are gone for good."""
    blobs = Blobs(data_dir)
    missing: set[tuple[str, str]] = set()
    for _ in range(ATTEMPTS):
        tell("copying the database")
        _copy_database(data_dir, url, copy)
        before, missing = missing, set()
        for owner, blob in _wanted(copy):
            name = blob_name(owner, blob)
            if name not in writer.members:
                try:
                    writer.add(name, blobs.path(owner, blob))
                except FileNotFoundError:
                    missing.add((owner, blob))
        if missing <= before:  # none is missing, or only such as a later copy of the rows still names
            break
    return len(missing)


def _copy_database(data_dir: Path, url: str | None, copy: Path) -> None:
    if url is None:
        try:
            sqlite.copy(data_dir / DATABASE, copy)
        except sqlite3.Error as error:
            raise sqlite.explain(error, data_dir / DATABASE) from error
        return
    copy.unlink(missing_ok=True)
    upgrade(copy)
    with postgres.snapshot(url) as source_rows, sqlite.alone(copy) as target:
        transfer.copy_rows(source_rows, target, lambda _: None)


def _wanted(copy: Path) -> list[tuple[str, str]]:
    """(owner, blob) of every file in a copied database, whatever its schema."""
    with closing(sqlite3.connect(copy)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows: set[tuple[str, str]] = set()
        for table in tables & {"files", "upload_parts"}:
            rows.update(connection.execute(f"SELECT owner, blob FROM {table}"))  # noqa: S608 - one of two names
    return sorted(rows)


def _note(data_dir: Path, made: Backup) -> None:
    try:
        directory(data_dir).mkdir(mode=0o700, exist_ok=True)
        (directory(data_dir) / LAST).write_text(json.dumps(asdict(made)), encoding="utf-8")
    except OSError:
        pass  # the backup is made; only where it is will not be remembered
