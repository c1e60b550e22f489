"""The audit log: entries are added, found, and never changed; removing old ones leaves one that says so."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from myna.errors import StoreError
from myna.server.identity import LOCAL, Identity
from myna.store import audit, users
from myna.store.audit import Filter
from myna.store.database import Database
from tests.store.rows import user

ALL = Filter()
ANN = Identity("user_1", "Ann Ö'Neill", "owner", key="key_9")


async def record(database: Database, actor: Identity | str, action: str, object_id: str, **details: Any) -> None:
    async with database.transaction() as transaction:
        await audit.record(transaction, actor, action, action.split(".")[0], object_id, **details)


async def found(database: Database, wanted: Filter = ALL, **options: Any) -> list[audit.Entry]:
    async with database.read("") as scope:
        return await audit.entries(scope.transaction, wanted, **options)


async def test_an_entry_tells_who_did_what_to_which_object_from_where(database: Database) -> None:
    audit.address.set("10.0.0.7")
    await record(database, ANN, "user.change", "user_2", name="Bén\0", changes={"role": ["member", "admin"]})
    audit.address.set(None)
    await record(database, "system", "data.backup", "", bytes=12)
    system, entry = await found(database)
    assert (entry.actor_id, entry.actor_name, entry.actor_key) == ("user_1", "Ann Ö'Neill", "key_9")
    assert (entry.action, entry.kind, entry.object_id, entry.address) == ("user.change", "user", "user_2", "10.0.0.7")
    assert entry.details == {"name": "Bén\0", "changes": {"role": ["member", "admin"]}}
    assert (system.actor_id, system.actor_name, system.actor_key, system.address) == ("", "system", None, None)
    assert system.cursor > entry.cursor
    assert system.at >= entry.at


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor_name = 'Eve'",
        "UPDATE audit_log SET at = 0",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ],
)
async def test_the_database_itself_refuses_changes(database: Database, statement: str) -> None:
    if statement.startswith("TRUNCATE") and database.writer.dialect.name == "sqlite":
        statement = "INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log"  # SQLite's way around
    await record(database, ANN, "key.revoke", "key_1")
    before = await found(database)
    with pytest.raises(StoreError, match="append-only"):
        async with database.transaction() as transaction:
            await transaction.connection.execute(text(statement))
    assert await found(database) == before


async def test_old_entries_go_only_with_one_that_says_so(database: Database) -> None:
    for number in range(3):
        await record(database, ANN, "key.create", f"key_{number}")
    async with database.transaction() as transaction:
        newest = (await audit.entries(transaction, ALL))[0]
        assert await audit.prune(transaction, LOCAL, newest.at + 1) == 3
    (left,) = await found(database)
    assert (left.action, left.object_id, left.details) == (audit.PRUNE, str(newest.at + 1), {"entries": 3})
    await record(database, ANN, "key.create", "later")
    with pytest.raises(StoreError, match="append-only"):  # what the pruning named is over
        async with database.transaction() as transaction:
            await transaction.connection.execute(text("DELETE FROM audit_log"))
    assert [entry.object_id for entry in await found(database)] == ["later", left.object_id]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(), ["4", "3", "2", "1"]),
        (Filter(actor="user_1"), ["3", "1"]),
        (Filter(action="key.create"), ["1"]),
        (Filter(action="key."), ["2", "1"]),
        (Filter(kind="model", object_id="3"), ["3"]),
        (Filter(text="Ö'NEILL"), ["3", "1"]),
        (Filter(text="LAPTOP"), ["1"]),
        (Filter(text="Bén"), ["4"]),
        (Filter(text="100%"), []),
        (Filter(since=1), ["4", "3", "2", "1"]),
        (Filter(until=1), []),
    ],
)
async def test_entries_are_found(embedded: Database, wanted: Filter, ids: list[str]) -> None:
    await record(embedded, ANN, "key.create", "1", name="laptop")
    await record(embedded, "Ben", "key.revoke", "2")
    await record(embedded, ANN, "model.pull", "3")
    await record(embedded, "Ben", "keys.sorted", "4", name="Bén")
    assert [entry.object_id for entry in await found(embedded, wanted)] == ids


async def test_pages_follow_the_cursor(embedded: Database) -> None:
    for number in range(5):
        await record(embedded, ANN, "key.create", str(number))
    first = await found(embedded, limit=2)
    await record(embedded, ANN, "key.create", "new")
    second = await found(embedded, before=first[-1].cursor, limit=2)
    assert [entry.object_id for entry in (*first, *second)] == ["4", "3", "2", "1"]


async def test_secrets_and_long_texts_stay_out(embedded: Database) -> None:
    with pytest.raises(AssertionError, match="secrets"):
        await record(embedded, ANN, "key.create", "1", secret="myna-x")
    await record(embedded, ANN, "model.pull", "x" * 9000, name="y" * 9000)
    (entry,) = await found(embedded)
    assert len(entry.object_id) == len(entry.details["name"]) == audit.MOST_CHARACTERS


async def test_what_somebody_did_outlives_him(embedded: Database) -> None:
    async with embedded.transaction() as transaction:
        await users.add(transaction, user("user_1"))
        await audit.record(transaction, ANN, "model.delete", "model", "gpt2")
    async with embedded.transaction() as transaction:
        await users.remove(transaction, "user_1")
    (entry,) = await found(embedded)
    assert entry.actor_name == ANN.name
