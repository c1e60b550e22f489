"""What owners decided is as they left it; what nobody decided is as by default."""

from __future__ import annotations

from sqlalchemy import insert

from myna.store import options
from myna.store.database import Database
from myna.store.options import Options
from myna.store.tables.administration import options as table


async def test_options_stay_as_they_were_left(database: Database) -> None:
    async with database.transaction() as transaction:
        assert await options.load(transaction) == Options()
        await options.save(transaction, sign_up="open", tokens_per_day=0)
    async with database.transaction() as transaction:
        await options.save(transaction, sign_up="invitation", default_model=None)
    async with database.transaction() as transaction:
        assert await options.load(transaction) == Options(sign_up="invitation", tokens_per_day=0)


async def test_options_of_a_newer_version_are_overlooked(embedded: Database) -> None:
    async with embedded.transaction() as transaction:
        row = {"name": "wings", "value": 2, "changed_at": 1}
        await transaction.connection.execute(insert(table), row)
        assert await options.load(transaction) == Options()
