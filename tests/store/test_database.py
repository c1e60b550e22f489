from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from myna.errors import ConfigurationError, StoreError
from myna.store import chats, messages
from myna.store.database import Database
from myna.store.tables.chats import changes
from tests.store.rows import OWNER, add_chat, chat, message, messages_of


async def test_what_is_written_is_there_after_reopening(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "new" / "directory")
    async with database.write(OWNER) as scope:
        made, _ = await add_chat(scope, "hello")
    await database.close()
    database = await Database.open(tmp_path / "new" / "directory")
    async with database.read(OWNER) as scope:
        assert await chats.get(scope, made.id) == made
        assert [message.text for message in await messages_of(scope, made.id)] == ["hello"]
    await database.close()


async def test_what_fails_is_undone(database: Database) -> None:
    heard: list[frozenset[str]] = []
    database.on_change(heard.append)
    made = chat()
    with pytest.raises(RuntimeError):  # noqa: PT012 - the block is what fails
        async with database.write(OWNER) as scope:
            await chats.create(scope, made)
            raise RuntimeError
    async with database.read(OWNER) as scope:
        assert await chats.find(scope, made.id) is None
        assert await scope.all(scope.select(changes)) == []
    assert heard == []
    async with database.write(OWNER) as scope:
        await chats.create(scope, made)
    assert heard == [frozenset({OWNER})]


async def test_errors_in_the_log_tell_nothing_of_what_was_to_be_stored(database: Database) -> None:
    secret = chat(title="what nobody else is to read")
    with pytest.raises(StoreError) as failed:  # noqa: PT012 - the block is what fails
        async with database.write(OWNER) as scope:
            await chats.create(scope, secret)
            await chats.create(scope, secret)
    told = "".join(traceback.format_exception(failed.value))
    assert "INSERT INTO chats" in told
    assert "nobody" not in told
    assert database.place.name in failed.value.message, "for the log"
    assert database.place.name not in failed.value.told, "clients are not told where the database is"


async def test_memory_follows_a_commit_whose_writer_was_cancelled_meanwhile(database: Database) -> None:
    made = chat()
    followed: list[str] = []

    async def write() -> None:
        async with database.write(OWNER) as scope:
            await chats.create(scope, made)
            scope.transaction.after_commit.append(lambda: followed.append("memory"))

    database.on_change(lambda owners: followed.append("lists"))
    writing = asyncio.create_task(write())
    event.listen(database.writer.sync_engine, "commit", lambda connection: writing.cancel())
    with pytest.raises(asyncio.CancelledError):
        await writing
    async with database.read(OWNER) as scope:
        assert await chats.find(scope, made.id) == made
    assert followed == ["memory", "lists"]


async def test_many_writers_and_readers_at_once(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, _ = await add_chat(scope)

    async def write(number: int) -> None:
        async with database.write(OWNER) as scope:
            await messages.add(scope, message(made.id, None, str(number)))

    async def read() -> None:
        async with database.read(OWNER) as scope:
            before = await messages_of(scope, made.id)
            after = await messages_of(scope, made.id)
            assert before == after  # one consistent view

    await asyncio.gather(*(write(number) for number in range(50)), *(read() for _ in range(50)))
    async with database.read(OWNER) as scope:
        found = await messages_of(scope, made.id)
    assert sorted(int(message.text) for message in found) == list(range(50))


async def test_a_writer_of_another_process_is_waited_for(embedded: Database) -> None:
    other = sqlite3.connect(embedded.place.file, isolation_level=None, check_same_thread=False)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(_create(embedded))
        async with embedded.read(OWNER) as scope:  # readers go on meanwhile
            assert await chats.page(scope, None, 10) == []
        other.execute("COMMIT")
        await writing


async def test_a_transaction_that_reads_first_can_still_write(embedded: Database) -> None:
    with closing(sqlite3.connect(embedded.place.file, isolation_level=None, timeout=0)) as other:
        async with embedded.write(OWNER) as scope:
            assert await chats.page(scope, None, 10) == []
            with pytest.raises(sqlite3.OperationalError, match="locked"):  # it would make our view an old one
                other.execute("BEGIN IMMEDIATE")
            await chats.create(scope, chat())


async def _create(database: Database) -> None:
    async with database.write(OWNER) as scope:
        await chats.create(scope, chat())


async def test_commits_reach_the_disk_before_they_return(embedded: Database) -> None:
    async with embedded.write(OWNER) as scope:
        connection = scope.transaction.connection
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2  # FULL
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError):
        async with database.read(OWNER) as scope:
            await chats.create(scope, chat())


async def test_one_process_a_data_directory(embedded: Database) -> None:
    with pytest.raises(ConfigurationError, match="Another Myna already uses"):
        await Database.open(embedded.place.file.parent)


async def test_a_dead_process_leaves_the_directory_free(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, pathlib, signal
from myna.store.database import Database
async def main():
    await Database.open(pathlib.Path({str(tmp_path)!r}))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=False)
    assert killed.returncode == -9
    await (await Database.open(tmp_path)).close()


async def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match="is a file") as refused:
            await Database.open(path)
        assert "--data-dir" in refused.value.message


@pytest.mark.skipif(sys.platform != "linux", reason="needs a directory in which nobody may write: Linux's /proc")
async def test_a_directory_that_cannot_be_written() -> None:
    for path in (Path("/proc/myna"), Path(f"/proc/{os.getpid()}")):
        with pytest.raises(ConfigurationError, match="cannot be written") as refused:
            await Database.open(path)
        assert "MYNA_DATA_DIR" in refused.value.message


async def test_chats_are_private(embedded: Database) -> None:
    assert embedded.place.file.stat().st_mode & 0o077 == 0


async def test_a_full_disk_is_said_and_costs_nothing(embedded: Database) -> None:
    @event.listens_for(embedded.writer.sync_engine, "connect")
    def limit(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA max_page_count=40")
        cursor.close()

    async with embedded.write(OWNER) as scope:
        made, _ = await add_chat(scope, "kept")
    with pytest.raises(StoreError, match="full"):
        async with embedded.write(OWNER) as scope:
            await messages.add(scope, message(made.id, None, "x" * 1_000_000))
    async with embedded.write(OWNER) as scope:
        await messages.add(scope, message(made.id, None, "small"))
    async with embedded.read(OWNER) as scope:
        assert [message.text for message in await messages_of(scope, made.id)] == ["kept", "small"]
