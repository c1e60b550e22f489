"""Everything goes from one database to another, and is compared."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text, update

from myna.errors import ConfigurationError, StoreError
from myna.store import chats, messages, migrations, postgres, sqlite, transfer
from myna.store.database import opened
from myna.store.move import EMBEDDED, move
from myna.store.restore import restore
from myna.store.tables import metadata
from myna.store.tables.chats import messages as message_rows
from myna.store.upgrade import upgrade
from tests.postgres import PostgreSQL
from tests.store.rows import OWNER, message, messages_of
from tests.store.test_backup import fill, made, quietly, titles


async def _extend(data_dir: Path) -> str:
    """Add an answer whose key comes before its parent's: rows refer to later ones. The chat's id."""
    async with opened(data_dir) as database, database.write(OWNER) as scope:
        [talk] = await chats.page(scope, None, 10)
        [asked] = await messages_of(scope, talk.id)
        await messages.add(scope, message(talk.id, asked.id, "an answer", id="0" * 8 + asked.id[8:]))
    return talk.id


async def _rename(data_dir: Path, url: str, chat_id: str) -> list[str]:
    """Write to a chat, whose texts this gives back: the numbers of its changes go on where they were."""
    async with opened(data_dir, url) as database, database.write(OWNER) as scope:
        await chats.update(scope, chat_id, title="Moved")
        return [message.text for message in await messages_of(scope, chat_id)]


def test_there_and_back(tmp_path: Path, url: str) -> None:
    fill(tmp_path)
    chat_id = asyncio.run(_extend(tmp_path))
    said: list[str] = []
    assert move(tmp_path, None, url, said.append) > 5
    assert {"copied messages", "compared messages"} <= set(said)
    assert asyncio.run(_rename(tmp_path, url, chat_id)) == ["nul \ufffd and 文字", "an answer"]
    with pytest.raises(StoreError, match="exists already"):
        move(tmp_path, url, EMBEDDED, quietly)
    (tmp_path / "myna.db").rename(tmp_path / "old.db")
    move(tmp_path, url, EMBEDDED, quietly)
    assert titles(tmp_path) == ["Moved"]


def test_references_are_enforced_again(tmp_path: Path, url: str) -> None:
    upgrade(tmp_path / "myna.db")
    with postgres.alone(url) as target, sqlite.reading(tmp_path / "myna.db") as source:
        transfer.copy_rows(source, target, quietly)
        before = target.execute(text("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")).scalar_one()
    wanted = sum(len(table.foreign_key_constraints) for table in metadata.sorted_tables)
    assert before == wanted


def differing(table: str) -> AbstractContextManager[object]:
    return pytest.raises(StoreError, match=f"table {table}, row")


def test_what_differs_is_named(tmp_path: Path, url: str) -> None:
    fill(tmp_path)
    move(tmp_path, None, url, quietly)
    engine = create_engine(postgres.locate(url))
    with engine.begin() as connection:
        connection.execute(update(message_rows).values(status="failed"))
    with engine.connect() as target, sqlite.reading(tmp_path / "myna.db") as source, differing("messages"):
        transfer.compare(source, target, quietly)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM messages"))
    with engine.connect() as target, sqlite.reading(tmp_path / "myna.db") as source, differing("messages"):
        transfer.compare(source, target, quietly)
    engine.dispose()


def test_nothing_goes_where_something_is(tmp_path: Path, url: str) -> None:
    fill(tmp_path / "one")
    fill(tmp_path / "two", url, title="Theirs")
    with pytest.raises(StoreError, match="not empty"):
        move(tmp_path / "one", None, url, quietly)
    assert titles(tmp_path / "two", url) == ["Theirs"]


def test_a_copy_that_fails_leaves_the_target_empty(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)

    def fail(*_: object) -> None:
        raise StoreError("differs")

    monkeypatch.setattr(transfer, "compare", fail)
    with pytest.raises(StoreError, match="differs"):
        move(tmp_path, None, url, quietly)
    monkeypatch.undo()
    assert move(tmp_path, None, url, quietly) > 0


def test_who_is_running_is_not_disturbed(tmp_path: Path, url: str) -> None:
    fill(tmp_path / "one")

    async def busy(data_dir: Path, url_of: str | None, said: str) -> None:
        async with opened(data_dir, url_of):
            with pytest.raises(ConfigurationError, match=said):
                move(tmp_path / "one", None, url, quietly)

    asyncio.run(busy(tmp_path / "one", None, "Another Myna already uses"))
    asyncio.run(busy(tmp_path / "two", url, "End all of them"))


@pytest.mark.parametrize(
    ("url", "to"), [(None, EMBEDDED), ("postgresql://a/b", "postgresql://c/d"), (None, "mysql://a/b")]
)
def test_where_it_cannot_go_is_said(tmp_path: Path, url: str | None, to: str) -> None:
    (tmp_path / "myna.db").touch()
    with pytest.raises((ConfigurationError, StoreError), match=r"postgresql://|nothing to move"):
        move(tmp_path, url, to, quietly)


def test_a_backup_goes_from_one_kind_to_the_other(tmp_path: Path, url: str, postgresql: PostgreSQL) -> None:
    made(tmp_path, tmp_path / "kept.zip", url)
    restore(tmp_path / "kept.zip", tmp_path / "embedded", None, replace=False, tell=quietly)
    assert titles(tmp_path / "embedded") == ["Kept"]
    other = postgresql.create()
    restore(tmp_path / "kept.zip", tmp_path / "third", other, replace=False, tell=quietly)
    assert titles(tmp_path / "third", other) == ["Kept"]
    assert not (tmp_path / "third" / "myna.db").exists()


def test_an_older_postgresql_database_is_to_be_started_first(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError, match=f"has schema none, this Myna {migrations.HEAD}"), postgres.snapshot(url):
        pass
