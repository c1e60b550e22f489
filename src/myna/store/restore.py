"""Putting a backup in the place of what there is, which is kept.

Everything is unpacked and verified beside its place first (see `myna.store.swap`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from myna.errors import Conflict, StoreError
from myna.store import directory, migrations, postgres, sqlite, swap, transfer
from myna.store.archive import Manifest, Reader
from myna.store.swap import DATABASE, SETTINGS
from myna.store.upgrade import upgrade


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored. ``kept``: where what was there before lies now; None if there was nothing."""

    manifest: Manifest
    kept: Path | None


def restore(archive: Path, data_dir: Path, url: str | None, *, replace: bool, tell: transfer.Tell) -> Restored:
    """Restore a backup to a data directory; with a URL its rows go to an empty PostgreSQL database instead.

    Settings of the backup are taken only where there are none.

    Raises:
        Conflict: there are data already, and ``replace`` is not set.
        ConfigurationError: a server uses the data directory or the database.
        StoreError: the archive is damaged or newer than this program, it could not be unpacked, or the PostgreSQL
            database is not empty; all is as before.
    """
    with Reader(archive) as reader:
        lock = directory.take(data_dir)
        try:
            swap.finish(data_dir)
            _check_free(data_dir, url, replace=replace)
            stage = swap.begin(data_dir)
            try:
                _unpack(reader, stage, tell)
                if (data_dir / SETTINGS).exists():
                    (stage / SETTINGS).unlink(missing_ok=True)
                if url is not None:
                    _fill(stage / DATABASE, url, tell)
            except BaseException:
                shutil.rmtree(stage, ignore_errors=True)
                raise
            kept = swap.commit(data_dir)
        finally:
            lock.release()
        return Restored(reader.manifest, kept if kept.exists() else None)


def _check_free(data_dir: Path, url: str | None, *, replace: bool) -> None:
    files = data_dir / swap.FILES
    taken = (url is None and (data_dir / DATABASE).exists()) or (files.is_dir() and any(files.glob("[!.]*/*")))
    if taken and not replace:
        raise Conflict(
            f"There are data in {data_dir} already. With --replace the backup takes their place, "
            f"and they are kept in {data_dir / 'backups'}."
        )


def _unpack(reader: Reader, stage: Path, tell: transfer.Tell) -> None:
    free = shutil.disk_usage(stage).free
    if free < reader.size:
        raise StoreError(f"The backup needs {reader.size} bytes in {stage.parent}; {free} are free.")
    (stage / swap.FILES).mkdir(mode=0o700)
    tell(f"unpacking {len(reader.manifest.members)} files")
    for name in reader.manifest.members:
        reader.extract(name, stage / name)
    tell("verifying the database")
    database = stage / DATABASE
    try:
        migrations.check_known(reader.path, sqlite.revision(database), migrations.SCRIPTS, migrations.HEAD)
        with sqlite.alone(database):
            pass  # it is verified at the end
    except StoreError as error:
        raise StoreError(f"Nothing was restored: {error.message}") from error


def _fill(database: Path, url: str, tell: transfer.Tell) -> None:
    upgrade(database)
    with sqlite.reading(database) as source, postgres.alone(url) as target:
        transfer.copy_rows(source, target, tell)
        transfer.compare(source, target, tell)
    database.unlink()
    shutil.rmtree(database.parent / "backups", ignore_errors=True)  # what upgrading it kept
