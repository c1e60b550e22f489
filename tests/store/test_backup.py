"""A backup holds everything that people made, and what is not whole is never restored."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filelock import FileLock

from myna.errors import ConfigurationError, Conflict, StoreError
from myna.store import backup, chats, files, messages, migrations, sqlite, swap
from myna.store.archive import MANIFEST, Reader, blob_name
from myna.store.blobs import Blobs
from myna.store.database import opened
from myna.store.files import StoredFile
from myna.store.inspection import inspect
from myna.store.restore import restore
from tests.store.rows import OWNER, chat, message, messages_of

EVIL = {"../../x": {"bytes": 1, "sha256": ""}}
SHORT = {"myna.db": {"bytes": 1, "sha256": ""}}
CONTENT = b"what was uploaded\0" * 1000


def quietly(_: str) -> None:
    """What is told of the steps."""


async def one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def fill(data_dir: Path, url: str | None = None, title: str = "Kept") -> StoredFile:
    """A chat of one message, and a file."""
    return asyncio.run(_fill(data_dir, url, title))


async def _fill(data_dir: Path, url: str | None, title: str) -> StoredFile:
    async with opened(data_dir, url) as database:
        blobs = Blobs(data_dir)
        await blobs.prepare(set())
        blob = await blobs.create(OWNER, one(CONTENT), len(CONTENT))
        file = StoredFile("file-1", "a.txt", "user_data", blob.bytes, blob.sha256, blob.id, 1, None)
        async with database.write(OWNER) as scope:
            talk = chat(title=title)
            await chats.create(scope, talk)
            await messages.add(scope, message(talk.id, text="nul \0 and 文字"))
            await files.add(scope, file)
    return file


def titles(data_dir: Path, url: str | None = None) -> list[str | None]:
    return asyncio.run(_titles(data_dir, url))


async def _titles(data_dir: Path, url: str | None) -> list[str | None]:
    async with opened(data_dir, url) as database, database.read(OWNER) as scope:
        return [talk.title for talk in await chats.page(scope, None, 10)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "kept.zip"


def made(tmp_path: Path, archive: Path, url: str | None = None) -> tuple[Path, StoredFile]:
    """A data directory and its backup."""
    data_dir = tmp_path / "data"
    file = fill(data_dir, url)
    backup.make(data_dir, url, archive, quietly)
    return data_dir, file


def test_what_was_backed_up_is_there_again(tmp_path: Path, archive: Path) -> None:
    data_dir, file = made(tmp_path, archive)
    (data_dir / "myna.toml").write_text('log_level = "info"\n')
    archive.unlink()
    result = backup.make(data_dir, None, archive, quietly)
    assert (result.files, result.lost, result.bytes) == (1, 0, archive.stat().st_size)
    assert backup.last(data_dir) == result
    assert archive.stat().st_mode & 0o077 == 0

    elsewhere = tmp_path / "elsewhere"
    assert restore(archive, elsewhere, None, replace=False, tell=quietly).kept is None
    assert titles(elsewhere) == ["Kept"]
    assert Blobs(elsewhere).path(OWNER, file.blob).read_bytes() == CONTENT
    assert (elsewhere / "myna.toml").read_text() == 'log_level = "info"\n'
    assert not (elsewhere / swap.STAGE).exists()


def test_it_is_made_while_a_server_writes(tmp_path: Path, archive: Path) -> None:
    data_dir = tmp_path / "data"
    fill(data_dir)

    async def serve() -> None:
        async with opened(data_dir) as database, database.write(OWNER) as scope:
            await chats.create(scope, chat(title="not yet committed"))
            assert backup.make(data_dir, None, archive, quietly).lost == 0
            with pytest.raises(ConfigurationError, match="Another Myna already uses"):
                restore(archive, data_dir, None, replace=True, tell=quietly)

    asyncio.run(serve())
    restore(archive, tmp_path / "new", None, replace=False, tell=quietly)
    assert titles(tmp_path / "new") == ["Kept"]


def test_a_restore_replaces_only_when_told_and_keeps_what_was_there(tmp_path: Path, archive: Path) -> None:
    data_dir, _ = made(tmp_path, archive)
    fill_more(data_dir)
    with pytest.raises(Conflict, match="--replace"):
        restore(archive, data_dir, None, replace=False, tell=quietly)
    kept = restore(archive, data_dir, None, replace=True, tell=quietly).kept
    assert titles(data_dir) == ["Kept"]
    assert kept is not None
    shutil.copytree(kept, tmp_path / "before")
    assert titles(tmp_path / "before") == ["Later", "Kept"]


def test_two_restores_within_a_second_keep_what_each_replaced(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, _ = made(tmp_path, archive)
    fill_more(data_dir)
    monkeypatch.setattr("myna.store.swap.time.gmtime", lambda *_: time.struct_time((2026, 11, 23, 12, 0, 0, 0, 327, 0)))
    first, second = (restore(archive, data_dir, None, replace=True, tell=quietly).kept for _ in range(2))
    assert first is not None
    assert second is not None
    assert (titles(first), titles(second)) == (["Later", "Kept"], ["Kept"])


async def _texts(data_dir: Path) -> list[str]:
    async with opened(data_dir) as database, database.read(OWNER) as scope:
        [talk] = await chats.page(scope, None, 10)
        return [message.text for message in await messages_of(scope, talk.id)]


def fill_more(data_dir: Path) -> None:
    asyncio.run(_fill_more(data_dir))


async def _fill_more(data_dir: Path) -> None:
    async with opened(data_dir) as database, database.write(OWNER) as scope:
        await chats.create(scope, chat(title="Later"))


def cut_off(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])


def flip_a_byte(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 3] ^= 0xFF
    archive.write_bytes(content)


def rewrite(archive: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(archive) as old:
        members = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(members.pop(MANIFEST))
    change(manifest, members)
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
        new.writestr(MANIFEST, json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (cut_off, "not a backup, or was cut off"),
        (flip_a_byte, "is damaged"),
        (lambda path: path.write_text("hello"), "not a backup"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "no backup of Myna's"),
        (lambda path: rewrite(path, lambda manifest, _: manifest.update(format=2)), "newer Myna"),
        (lambda path: rewrite(path, lambda manifest, _: manifest.pop("members")), "no manifest"),
        (lambda path: rewrite(path, lambda manifest, _: manifest["members"].update(EVIL)), "backup does not have"),
        (lambda path: rewrite(path, lambda _, members: members.update({"myna.db": b"x" * 10_000_000})), "not what was"),
        (lambda path: rewrite(path, lambda manifest, _: manifest["members"].update(SHORT)), "not what was"),
        (lambda path: rewrite(path, lambda _, members: members.pop("myna.db")), "cannot be read"),
    ],
    ids=["cut off", "byte", "text", "foreign", "newer", "no members", "path", "another", "too long", "missing"],
)  # fmt: skip
def test_what_is_not_whole_is_not_restored(
    tmp_path: Path, archive: Path, change: Callable[[Path], None], reason: str
) -> None:
    data_dir, _ = made(tmp_path, archive)
    change(archive)
    with pytest.raises(StoreError, match=reason):
        restore(archive, data_dir, None, replace=True, tell=quietly)
    assert titles(data_dir) == ["Kept"]
    assert not (data_dir / swap.STAGE).exists()


def test_a_database_of_a_newer_version_is_not_restored(tmp_path: Path, archive: Path) -> None:
    data_dir, _ = made(tmp_path, archive)
    with closing(sqlite3.connect(data_dir / "myna.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    backup.make(data_dir, None, tmp_path / "newer.zip", quietly)
    with pytest.raises(StoreError, match="newer Myna"):
        restore(tmp_path / "newer.zip", tmp_path / "new", None, replace=False, tell=quietly)


def test_a_file_that_is_gone_is_told(tmp_path: Path, archive: Path) -> None:
    data_dir, file = made(tmp_path, archive)
    assert not [finding.problem for finding in inspect(data_dir, None) if finding.problem]
    Blobs(data_dir).path(OWNER, file.blob).unlink()
    assert backup.make(data_dir, None, tmp_path / "second.zip", quietly).lost == 1
    problems = [finding.problem for finding in inspect(data_dir, None) if finding.problem]
    assert len(problems) == 1
    assert "is gone" in problems[0]


def sizes(data_dir: Path, url: str | None = None) -> str | None:
    """What is wrong with the remembered sizes of messages."""
    (problem,) = [each.problem for each in inspect(data_dir, url) if each.name == "sizes of messages"]
    return problem


def test_a_message_of_another_length_than_is_remembered_is_told_with_what_mends_it(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "myna.db")) as connection, connection:
        connection.execute("UPDATE messages SET size = size + 1")
    problem = sizes(tmp_path)
    assert problem
    assert problem.startswith("1 messages are not as long as is remembered")
    with closing(sqlite3.connect(tmp_path / "myna.db")) as connection, connection:
        connection.execute(problem[problem.index("UPDATE") :])
    assert sizes(tmp_path) is None


def test_the_length_of_messages_is_checked_on_postgresql_too(tmp_path: Path, url: str) -> None:
    fill(tmp_path, url)  # with a U+0000, which takes more bytes there
    assert sizes(tmp_path, url) is None
    with closing(psycopg.connect(url)) as connection, connection:
        connection.execute("UPDATE messages SET size = size * 2")
    problem = sizes(tmp_path, url)
    assert problem
    with closing(psycopg.connect(url)) as connection, connection:
        connection.execute(problem[problem.index("UPDATE") :].encode())
    assert sizes(tmp_path, url) is None


def test_a_file_that_is_deleted_meanwhile_is_not_missed(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    file = fill(data_dir)
    copy = sqlite.copy

    def copy_then_delete(source: Path, target: Path) -> None:
        copy(source, target)
        Blobs(data_dir).path(OWNER, file.blob).unlink(missing_ok=True)
        with closing(sqlite3.connect(source)) as connection, connection:
            connection.execute("DELETE FROM files")

    monkeypatch.setattr(sqlite, "copy", copy_then_delete)
    assert backup.make(data_dir, None, archive, quietly).lost == 0
    with Reader(archive) as reader:
        assert blob_name(OWNER, file.blob) not in reader.manifest.members


def test_nothing_is_replaced_or_left_behind_by_a_backup_that_fails(tmp_path: Path, archive: Path) -> None:
    data_dir, file = made(tmp_path, archive)
    with pytest.raises(StoreError, match="exists already"):
        backup.make(data_dir, None, archive, quietly)
    blob = Blobs(data_dir).path(OWNER, file.blob)
    blob.unlink()
    blob.mkdir()  # cannot be read
    with pytest.raises(StoreError, match="could not be written"):
        backup.make(data_dir, None, tmp_path / "second.zip", quietly)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "kept.zip"]
    with pytest.raises(StoreError, match="nothing to back up"):
        backup.make(tmp_path / "none", None, tmp_path / "third.zip", quietly)


def test_what_a_backup_that_was_killed_has_left_goes_with_the_next(tmp_path: Path, archive: Path) -> None:
    left, running = tmp_path / ".backup-killed", tmp_path / ".backup-running"
    for folder in (left, running):
        folder.mkdir()
        (folder / "draft").write_bytes(b"PK")
        os.utime(folder, (0, 0))
    with FileLock(running / backup.LOCK):
        os.utime(running, (0, 0))
        made(tmp_path, archive)
        assert not left.exists()
        assert (running / "draft").exists()


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for made_at in range(3):
        (tmp_path / backup.name_for(made_at * 86_400_000)).touch()
    (tmp_path / "myna-mine.zip").touch()
    assert [path.name for path in backup.prune(tmp_path, 2)] == ["myna-19700101-000000.zip"]
    assert backup.prune(tmp_path, 2) == []
    assert (tmp_path / "myna-mine.zip").exists()


@pytest.mark.parametrize("renames", range(6))
def test_a_restore_that_is_killed_between_its_renames_is_ended_by_the_next_start(
    tmp_path: Path, archive: Path, renames: int
) -> None:
    data_dir, file = made(tmp_path, archive)
    fill_more(data_dir)
    (data_dir / "myna.db-wal").touch()
    code = f"""
import os, signal
from pathlib import Path
from myna.store.restore import restore
rename, left = Path.replace, [{renames}]
def replace(self, target):
    if {str(data_dir)!r} in str(self) and left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= {str(data_dir)!r} in str(self)
    return rename(self, target)
Path.replace = replace
restore(Path({str(archive)!r}), Path({str(data_dir)!r}), None, replace=True, tell=lambda _: None)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # Killed before its mark was made, nothing has happened; after it everything has.
    assert titles(data_dir) == (["Later", "Kept"] if renames == 0 else ["Kept"])
    assert Blobs(data_dir).path(OWNER, file.blob).read_bytes() == CONTENT
    assert not (data_dir / swap.STAGE).exists()


def test_an_upgrade_that_is_killed_is_as_if_it_had_not_begun(tmp_path: Path, later: Callable[[str], Path]) -> None:
    data_dir = tmp_path / "data"
    fill(data_dir)
    path = data_dir / "myna.db"
    scripts = later(
        "    op.execute('DELETE FROM messages')\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    code = f"""
from pathlib import Path
from myna.store.upgrade import upgrade
upgrade(Path({str(path)!r}), scripts=Path({str(scripts)!r}), head="later")
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert sqlite.revision(data_dir / "backups" / f"myna-{migrations.HEAD}.db") == migrations.HEAD
    assert asyncio.run(_texts(data_dir)) == ["nul \0 and 文字"]
    assert sqlite.revision(path) == migrations.HEAD
