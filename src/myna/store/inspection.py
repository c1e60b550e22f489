"""Whether what is stored is whole: the database, the files that its rows name, and what people keep beside them."""

from __future__ import annotations

import hashlib
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, null, select, text

from myna.errors import StoreError
from myna.store import backup, migrations, postgres, sqlite
from myna.store.blobs import BLOCK_BYTES, Blobs
from myna.store.database import LEAST_FREE
from myna.store.swap import DATABASE
from myna.store.tables.chats import chats, messages
from myna.store.tables.files import files, upload_parts

BACKUP_DAYS = 30
"""Age of the last backup from which it is said."""
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``problem``: what is wrong and what to do about it; None if nothing is."""

    name: str
    value: str
    problem: str | None = None


def inspect(data_dir: Path, url: str | None) -> list[Finding]:
    """Look at everything that is stored; a server may run meanwhile. Reads every file: takes as long as that."""
    found = [_directory(data_dir), _disk(data_dir)]
    place = str(data_dir / DATABASE) if url is None else postgres.url_text(postgres.locate(url))
    try:
        if url is None:
            found += _embedded(data_dir)
        else:
            with postgres.snapshot(url) as connection:
                found += _rows(connection, data_dir)
    except StoreError as error:
        found.append(Finding("database", place, error.message))
    return [*found, _last_backup(data_dir)]


def _directory(data_dir: Path) -> Finding:
    mode = stat.S_IMODE(data_dir.stat().st_mode) if data_dir.exists() else 0o700
    problem = None
    if mode & 0o077:
        problem = f"Other users of this machine can look into it (mode {mode:o}): chmod 700 {data_dir}"
    return Finding("data directory", str(data_dir), problem)


def _disk(data_dir: Path) -> Finding:
    existing = next(parent for parent in (data_dir, *data_dir.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    problem = None if free >= LEAST_FREE else "The disk is nearly full: free some space before it is."
    return Finding("disk", f"{free / 1e9:.1f} GB free", problem)


def _embedded(data_dir: Path) -> list[Finding]:
    path = data_dir / DATABASE
    schema = sqlite.revision(path)
    if schema is None:
        return [Finding("database", f"{path} does not exist yet")]
    migrations.check_known(path, schema, migrations.SCRIPTS, migrations.HEAD)
    with sqlite.reading(path) as connection:
        damage = sqlite.verify(connection)
        found = [
            Finding(
                "database",
                f"{path}, {path.stat().st_size / 1e6:.1f} MB, schema {schema}",
                damage and f"It is damaged: {damage}. Restore a backup (myna restore).",
            )
        ]
        if schema == migrations.HEAD and damage is None:
            found += _rows(connection, data_dir)
        elif damage is None:
            found.append(Finding("schema", f"{schema}; the next start upgrades it to {migrations.HEAD}"))
    return found


def _rows(connection: Connection, data_dir: Path) -> list[Finding]:
    return [_chats(connection), _sizes(connection), _files(connection, data_dir)]


def _chats(connection: Connection) -> Finding:
    count = connection.execute(select(func.count()).select_from(chats)).scalar_one()
    texts = connection.execute(select(func.count()).select_from(messages)).scalar_one()
    lost = connection.execute(
        select(func.count())
        .select_from(
            chats.outerjoin(messages, (messages.c.owner == chats.c.owner) & (messages.c.id == chats.c.leaf_id))
        )
        .where(chats.c.leaf_id.is_not(None), messages.c.id.is_(None))
    ).scalar_one()
    problem = None if not lost else f"{lost} chats name a last message that is not there; opening them mends it."
    return Finding("chats", f"{count} with {texts} messages", problem)


def _sizes(connection: Connection) -> Finding:
    """Whether messages are as long as is remembered of them: pages and exports go by that, and read no text for it.

    U+FFFD may stand for U+0000, which is shorter and which PostgreSQL cannot hold.
    """
    lite = connection.dialect.name == "sqlite"
    octets, character = ("length(CAST({} AS BLOB))", "char") if lite else ("octet_length({})", "chr")
    of_parts = "FROM parts p WHERE p.owner = messages.owner AND p.message_id = messages.id"
    right = f"(SELECT coalesce(sum({octets.format('p.text')}), 0) {of_parts})"
    spared = f"sum(length(p.text) - length(replace(p.text, {character}(65533), ''))) * 2"
    fewest = f"{right} - (SELECT coalesce({spared}, 0) {of_parts})"
    wrong_ones = f"count(CASE WHEN size NOT BETWEEN {fewest} AND {right} THEN 1 END)"
    remembered, wrong = connection.execute(text(f"SELECT coalesce(sum(size), 0), {wrong_ones} FROM messages")).one()  # noqa: S608
    problem = None
    if wrong:
        mended = f"UPDATE messages SET size = {right}"  # noqa: S608 - no values
        problem = (
            f"{wrong} messages are not as long as is remembered, so that their chats scroll unevenly; no text is lost. "
            f"Stop the server, make a backup (myna backup), and run in the database: {mended}"
        )
    return Finding("sizes of messages", f"{remembered / 1e6:.1f} MB of text", problem)


def _files(connection: Connection, data_dir: Path) -> Finding:
    blobs = Blobs(data_dir)
    rows = connection.execute(
        select(files.c.owner, files.c.blob, files.c.bytes, files.c.sha256).union_all(
            select(upload_parts.c.owner, upload_parts.c.blob, upload_parts.c.bytes, null())
        )
    )
    count = size = 0
    bad: list[str] = []
    for owner, blob, expected, digest in rows:
        count += 1
        size += expected
        path = blobs.path(owner, blob)
        if not path.is_file():
            bad.append(f"{path} is gone")
        elif path.stat().st_size != expected or (digest is not None and _digest(path) != digest):
            bad.append(f"{path} is not what was stored")
    problem = None
    if bad:
        problem = f"{len(bad)} of them: {'; '.join(bad[:3])}. A backup has them, if one was made in time."
    return Finding("files", f"{count}, {size / 1e6:.1f} MB", problem)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _last_backup(data_dir: Path) -> Finding:
    last = backup.last(data_dir)
    if last is None:
        return Finding("last backup", "none", "Make one now and then: myna backup")
    days = (time.time() * 1000 - last.made_at) / _DAY_MS
    problem = None
    if not Path(last.path).is_file():
        problem = "It is no longer where it was made. If it was not moved to a safe place, make another: myna backup"
    elif days > BACKUP_DAYS:
        problem = f"It is {days:.0f} days old: myna backup"
    return Finding("last backup", f"{last.path}, {last.bytes / 1e6:.1f} MB, {days:.0f} days ago", problem)
