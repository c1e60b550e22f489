from __future__ import annotations

import pytest
from sqlalchemy import insert

from myna.errors import NotFound, StoreError
from myna.store import keys, sessions, users
from myna.store.database import Database
from myna.store.tables import metadata
from tests.store.rows import add_chat, key, run, session, user
from tests.store.test_owners import everything


async def test_what_is_stored_is_read_back(database: Database) -> None:
    ann, her_key, her_session = user("ann", tokens_per_day=0), key("ann"), session("ann", agent="Browser")
    async with database.transaction() as transaction:
        await users.add(transaction, ann)
        await keys.add(transaction.owned_by("ann"), her_key)
        await sessions.add(transaction.owned_by("ann"), her_session)
    async with database.transaction() as transaction:
        assert await users.all_of_them(transaction) == [ann]
        assert await keys.all_of_them(transaction) == [her_key]
        assert await sessions.all_of_them(transaction) == [her_session]


async def test_two_users_have_no_name_in_common(database: Database) -> None:
    async with database.transaction() as transaction:
        await users.add(transaction, user("one", name_key="ann"))
    with pytest.raises(StoreError, match="name_key"):
        async with database.transaction() as transaction:
            await users.add(transaction, user("two", name_key="ann"))


async def test_a_user_goes_with_all_that_is_his_and_nothing_else(database: Database) -> None:
    async with database.transaction() as transaction:
        for owner in ("one", "two"):
            scope = transaction.owned_by(owner)
            await users.add(transaction, user(owner))
            await keys.add(scope, key(owner))
            await sessions.add(scope, session(owner))
            made, (asked, _) = await add_chat(scope, "question", "answer")
            await scope.add(metadata.tables["runs"], _row(run(made.id, asked.id)))
    kept = await everything(database, "two")
    async with database.transaction() as transaction:
        await users.remove(transaction, "one")
    assert not any((await everything(database, "one")).values())
    assert await everything(database, "two") == kept
    async with database.transaction() as transaction:
        assert [user.id for user in await users.all_of_them(transaction)] == ["two"]


async def test_every_table_with_an_owner_is_emptied(embedded: Database) -> None:
    """Also those that no test of this file knows: a row of nothing but nulls and zeros is in each."""
    async with embedded.transaction() as transaction:
        await transaction.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        await users.add(transaction, user("gone"))
        owned = [table for table in metadata.sorted_tables if "owner" in table.c]
        for table in owned:
            row = {
                column.name: "gone" if column.name == "owner" else _something(column.type.python_type)
                for column in table.c
                if column.autoincrement is not True
            }
            await transaction.connection.execute(insert(table), [row])
        await users.remove(transaction, "gone")
    assert not any((await everything(embedded, "gone")).values())


async def test_nobody_is_deleted_twice(database: Database) -> None:
    with pytest.raises(NotFound):
        async with database.transaction() as transaction:
            await users.remove(transaction, "nobody")


def _row(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}  # type: ignore[attr-defined]


def _something(kind: type) -> object:
    return "x" if kind is str else b"x" if kind is bytes else {} if kind is dict else 0
