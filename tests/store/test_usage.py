"""What was used is summed up, by user, day, model and key."""

from __future__ import annotations

from datetime import date

from myna.store import usage
from myna.store.database import Database
from myna.store.usage import DayUsage

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)


async def test_counts_add_up(database: Database) -> None:
    for _ in range(2):
        async with database.transaction() as transaction:
            await usage.add(
                transaction,
                [
                    ("ann", DayUsage(MONDAY, "m", "", 1, 10, 5)),
                    ("ann", DayUsage(MONDAY, "m", "key_1", 1, 2, 3)),
                    ("ann", DayUsage(TUESDAY, "n", "", 0, 0, 7)),
                    ("ben", DayUsage(MONDAY, "m", "", 1, 1, 1)),
                ],
            )
    async with database.transaction() as transaction:
        assert await usage.tokens_of_day(transaction, MONDAY) == {"ann": 40, "ben": 4}
        assert await usage.tokens_of_day(transaction, date(2026, 11, 25)) == {}
    async with database.read("ann") as scope:
        assert await usage.of_days(scope, MONDAY, TUESDAY) == [
            DayUsage(MONDAY, "m", "", 2, 20, 10),
            DayUsage(MONDAY, "m", "key_1", 2, 4, 6),
            DayUsage(TUESDAY, "n", "", 0, 0, 14),
        ]
        assert await usage.of_days(scope, TUESDAY, TUESDAY) == [DayUsage(TUESDAY, "n", "", 0, 0, 14)]
