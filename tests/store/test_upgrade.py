from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from myna.errors import StoreError
from myna.store import migrations, postgres, search, sqlite, transcripts
from myna.store.database import opened
from myna.store.query import parse
from myna.store.tables import metadata
from myna.store.upgrade import upgrade


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of the newest schema with one chat in it."""
    path = tmp_path / "myna.db"
    upgrade(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO chats (owner, id, title, created_at, updated_at, version) "
            "VALUES ('local', 'c', 'Kept', 1, 1, 1)"
        )
    return path


def titles(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [title for (title,) in connection.execute("SELECT title FROM chats")]


def columns(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[1] for row in connection.execute("PRAGMA table_info(chats)")}


def test_from_nothing_to_the_tables_there_are(tmp_path: Path) -> None:
    path = tmp_path / "my #1? database%20.db"  # no escaping is needed
    assert upgrade(path) is None
    assert sqlite.revision(path) == migrations.HEAD
    engine = create_engine(sqlite.url(path, driver="pysqlite"))
    with engine.connect() as connection:
        # The index of texts is SQLite's own virtual table, with tables of its own.
        opts = {"compare_type": True, "include_name": lambda name, *_: not (name or "").startswith("search_index")}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_revision_is_the_one_that_is_named() -> None:
    assert ScriptDirectory(str(migrations.SCRIPTS)).get_current_head() == migrations.HEAD


def test_the_newest_schema_is_left_alone(path: Path) -> None:
    assert upgrade(path) is None
    assert not (path.parent / "backups").exists()


def test_an_upgrade_keeps_a_copy_from_before_and_says_where(
    path: Path, later: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    backup = upgrade(path, scripts=later("    op.add_column('chats', sa.Column('colour', sa.Text()))\n"), head="later")
    assert backup is not None
    assert str(backup) in caplog.text
    assert sqlite.revision(path) == "later"
    assert "colour" in columns(path)
    assert "colour" not in columns(backup)
    assert titles(path) == titles(backup) == ["Kept"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("    op.execute('DELETE FROM chats')\n    op.execute('DELETE FROM nonsense')\n", "no such table"),
        ("    op.execute('DELETE FROM chats')\n    raise RuntimeError('a bug')\n", "a bug"),
        (
            "    op.execute('DELETE FROM chats')\n"
            "    op.execute(\"INSERT INTO parts VALUES ('local', 'gone', 0, 'text', 'x', NULL, NULL)\")\n",
            "refer to others that do not exist",
        ),
        ("    op.execute('COMMIT')\n    op.execute('DROP TABLE messages')\n    raise RuntimeError('late')\n", "late"),
    ],
    ids=["bad SQL", "bad code", "dangling reference", "fails after a commit of its own"],
)
def test_an_upgrade_that_fails_leaves_everything_as_it_was(
    path: Path, later: Callable[[str], Path], body: str, reason: str
) -> None:
    with pytest.raises(StoreError, match=reason) as failed:
        upgrade(path, scripts=later(body), head="later")
    assert "as before" in failed.value.message
    assert sqlite.revision(path) == migrations.HEAD
    assert titles(path) == ["Kept"]
    assert upgrade(path) is None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)


def test_no_upgrade_without_a_copy(path: Path, later: Callable[[str], Path]) -> None:
    (path.parent / "backups").write_text("in the way")
    with pytest.raises(StoreError, match="nothing was changed"):
        upgrade(path, scripts=later("    op.drop_table('chats')\n"), head="later")
    assert titles(path) == ["Kept"]


def test_a_newer_schema_is_refused(path: Path, later: Callable[[str], Path]) -> None:
    upgrade(path, scripts=later("    pass\n"), head="later")
    with pytest.raises(StoreError, match="newer Myna") as refused:
        upgrade(path)
    assert "schema later" in refused.value.message


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "myna.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(StoreError, match="another program"):
        upgrade(path)


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "myna.db"
    path.write_bytes(b"this is not a database, " * 100)
    with pytest.raises(StoreError, match="damaged") as refused:
        upgrade(path)
    assert str(path) in refused.value.message


@pytest.mark.parametrize("where", ["SQLite", "PostgreSQL"])
async def test_what_was_said_before_has_its_size_and_is_found(
    tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    """From the schema before sizes and the search."""
    url = request.getfixturevalue("url") if where == "PostgreSQL" else None
    if url is None:
        upgrade(tmp_path / "myna.db", head="0007")
    else:
        await asyncio.to_thread(postgres.upgrade, postgres.locate(url), head="0007")
    place = sqlite.SQLite(tmp_path / "myna.db") if url is None else postgres.PostgreSQL(postgres.locate(url))
    async with place.writer.begin() as connection:
        for statement in (
            "INSERT INTO chats (owner, id, created_at, updated_at, version) VALUES ('local', 'c', 1, 1, 1)",
            "INSERT INTO messages (owner, id, chat_id, role, status, created_at) "
            "VALUES ('local', 'm', 'c', 'assistant', 'complete', 1), ('local', 'n', 'c', 'user', 'complete', 2)",
            "INSERT INTO parts (owner, message_id, position, type, text) "
            "VALUES ('local', 'm', 0, 'reasoning', 'Hm'), ('local', 'm', 1, 'text', 'Größe 大小')",
        ):
            await connection.execute(text(statement))
    await place.writer.dispose()
    async with opened(tmp_path, url) as database, database.read("local") as scope:
        nodes = await transcripts.tree(scope, "c")
        assert {node.id: node.size for node in nodes} == {"m": 2 + 14, "n": 0}
        assert [each.message_id for each in await search.candidates(scope, parse("größe"), None, 5)] == ["m"]
