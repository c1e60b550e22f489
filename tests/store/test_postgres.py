"""What is PostgreSQL's alone; that it stores as SQLite does, all other tests of the store show."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect

from myna.errors import ConfigurationError, StoreError
from myna.store import chats, postgres
from myna.store.database import Database, opened
from tests.postgres import PostgreSQL
from tests.store.rows import OWNER, chat


@pytest.fixture
def engine(url: str) -> Engine:
    """The database as an administrator sees it."""
    return create_engine(postgres.locate(url))


@pytest.mark.parametrize(
    "given", ["", "myna.db", "mysql://a:secret@b/c", "postgresql://host", "sqlite:///x.db", "postgresql://u:p@h:port/d"]
)
def test_what_is_no_url_of_a_database_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://USER:PASSWORD@HOST") as refused:
        postgres.locate(given)
    assert refused.value.param == "database_url"
    assert "secret" not in refused.value.message


async def test_what_cannot_be_reached_is_named_without_its_password(tmp_path: Path, postgresql: PostgreSQL) -> None:
    for url, said in (
        ("postgresql://ann:secret@127.0.0.1:1/myna", "Is its server running"),
        (postgresql.url("nothing").replace("@", ":secret@"), "create it first"),
    ):
        with pytest.raises(StoreError, match=said) as failed:
            await Database.open(tmp_path, url)
        assert "secret" not in failed.value.message


async def test_another_programs_database_is_refused(tmp_path: Path, url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(StoreError, match="another program"):
        await Database.open(tmp_path, url)
    assert inspect(engine).get_table_names() == ["recipes"]
    engine.dispose()


async def test_servers_share_a_database_and_a_program_may_have_it_alone(tmp_path: Path, url: str) -> None:
    async with opened(tmp_path, url) as one, opened(tmp_path, url) as two:
        assert (one.leads, two.leads) == (True, False)
        assert one.server != two.server
        async with two.transaction() as transaction:
            assert await two.living(transaction) == {one.server, two.server}
        with pytest.raises(ConfigurationError, match="End all of them"), postgres.alone(url):
            pass
    with postgres.alone(url), pytest.raises(ConfigurationError, match="has the database alone"):
        await Database.open(tmp_path, url)
    async with opened(tmp_path, url) as one:
        assert one.leads


async def test_nothing_is_upgraded_under_servers(tmp_path: Path, url: str, later: Callable[[str], Path]) -> None:
    scripts = later("    op.drop_table('parts')\n")
    async with opened(tmp_path, url):
        with pytest.raises(ConfigurationError, match="End all of them"):
            postgres.upgrade(postgres.locate(url), scripts=scripts, head="later")
    postgres.upgrade(postgres.locate(url), scripts=scripts, head="later")


def test_who_upgrades_at_once_takes_turns(url: str, engine: Engine) -> None:
    failures: list[Exception] = []

    def start() -> None:
        try:
            postgres.upgrade(postgres.locate(url))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {"chats", "alembic_version"} <= set(inspect(engine).get_table_names())
    engine.dispose()


async def test_an_upgrade_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, url: str, engine: Engine, later: Callable[[str], Path]
) -> None:
    kept = chat(title="Kept")
    async with opened(tmp_path, url) as database, database.write(OWNER) as scope:
        await chats.create(scope, kept)
    scripts = later("    op.add_column('chats', sa.Column('colour', sa.Text()))\n    raise RuntimeError('a bug')\n")
    with pytest.raises(StoreError, match="a bug") as failed:
        postgres.upgrade(postgres.locate(url), scripts=scripts, head="later")
    assert "as before" in failed.value.message
    assert "colour" not in {column["name"] for column in inspect(engine).get_columns("chats")}
    engine.dispose()
    async with opened(tmp_path, url) as database, database.read(OWNER) as scope:
        assert await chats.get(scope, kept.id) == kept


async def test_a_newer_schema_is_refused(tmp_path: Path, url: str, later: Callable[[str], Path]) -> None:
    postgres.upgrade(postgres.locate(url), scripts=later("    pass\n"), head="later")
    with pytest.raises(StoreError, match="newer Myna"):
        await Database.open(tmp_path, url)


async def test_a_server_that_was_gone_is_found_again(tmp_path: Path, postgresql: PostgreSQL) -> None:
    before, after = chat(), chat()
    async with opened(tmp_path, postgresql.create()) as database:
        async with database.write(OWNER) as scope:
            await chats.create(scope, before)
        postgresql.stop()
        with pytest.raises(StoreError):
            async with database.read(OWNER) as scope:
                await chats.get(scope, before.id)
        postgresql.start()
        async with database.write(OWNER) as scope:
            await chats.create(scope, after)
        async with database.read(OWNER) as scope:
            assert await chats.get(scope, before.id) == before
            assert await chats.get(scope, after.id) == after


async def test_the_character_that_texts_cannot_hold_is_spelt(tmp_path: Path, url: str) -> None:
    odd = chat(title="a\0b")
    async with opened(tmp_path, url) as database:
        async with database.write(OWNER) as scope:
            await chats.create(scope, odd)
        async with database.read(OWNER) as scope:
            assert (await chats.get(scope, odd.id)).title == "a\ufffdb"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("INSERT INTO users VALUES ('ann', 'Ann', 'ann', 'hash', 'owner', false, 0, 0, 0, 1, 1)", ["0 accounts"]),
        ("UPDATE users SET role = 'member'", ["0 accounts"]),
        ("UPDATE users SET last_seen_at = 2", []),
        ("INSERT INTO second_factors (owner, secret, created_at, last_step) VALUES ('ann', 'x', 1, 0)", ["0 accounts"]),
        ("INSERT INTO changes (owner, kind, id) VALUES ('ann', 'chat', 'c'), ('ann', 'run', 'r')", ["0 lists ann"]),
        ("INSERT INTO options VALUES ('titles', 'false', 1)", ["0 options"]),
    ],
)
def test_what_changes_is_told_to_other_servers(url: str, engine: Engine, statement: str, told: list[str]) -> None:
    postgres.upgrade(postgres.locate(url))
    ann = "INSERT INTO users (id, name, name_key, password, role, disabled, created_at) VALUES ({})"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if "INSERT INTO users" not in statement:
            connection.exec_driver_sql(ann.format("'ann', 'Ann', 'ann', 'hash', 'owner', false, 1"))
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("LISTEN myna")
        connection.exec_driver_sql(statement)
        assert [notice.payload for notice in driver.notifies(timeout=0.2)] == told
    engine.dispose()
