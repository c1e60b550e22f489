"""Which deliveries are next."""

from __future__ import annotations

from collections.abc import Sequence

from myna.store import webhooks
from myna.store.database import Database
from myna.store.webhooks import Delivery, Endpoint


def endpoint(endpoint_id: str) -> Endpoint:
    return Endpoint(endpoint_id, "mine", "https://a.example/", ("batch.failed",), "whsec_", None, None, True, 1, 1)


async def enqueue(database: Database, owner: str, endpoint_id: str, deliveries: Sequence[tuple[str, int]]) -> None:
    """An endpoint with deliveries of these ids, due at these times."""
    async with database.write(owner) as scope:
        await webhooks.add(scope, endpoint(endpoint_id))
        rows = [Delivery(owner, name, endpoint_id, "batch.failed", "{}", 0, at, 1) for name, at in deliveries]
        await webhooks.enqueue(scope, *rows)


async def due(
    database: Database, now: int, busy: frozenset[tuple[str, str]] = frozenset(), limit: int = 10
) -> list[str]:
    async with database.transaction() as transaction:
        found = await webhooks.due(transaction, now, busy, limit)
    assert all(delivery.endpoint_id == to.id for delivery, to in found)
    assert all(to.event_types == ("batch.failed",) and to.private for _, to in found)
    return [f"{delivery.owner} {delivery.id}" for delivery, _ in found]


async def test_each_endpoints_oldest_comes_first_when_its_time_has_come(database: Database) -> None:
    await enqueue(database, "ann", "we_1", [("wh_1", 100), ("wh_3", 1)])
    await enqueue(database, "ben", "we_1", [("wh_2", 1), ("wh_4", 1)])
    assert await due(database, 0) == []
    assert await due(database, 1) == ["ben wh_2", "ann wh_3"]
    assert await due(database, 100) == ["ann wh_1", "ben wh_2"]
    assert await due(database, 100, limit=1) == ["ann wh_1"]
    assert await due(database, 100, frozenset({("ann", "we_1")})) == ["ben wh_2"]
    assert await due(database, 100, frozenset({("ann", "we_1")}), limit=1) == ["ben wh_2"]
    async with database.transaction() as transaction:
        assert await webhooks.next_time(transaction, 1) == 100
        assert await webhooks.next_time(transaction, 100) is None


async def test_what_was_never_tried_goes_before_what_failed(database: Database) -> None:
    """So that endpoints which are down, however many, hold up no other."""
    await enqueue(database, "ann", "we_1", [("wh_1", 1)])
    await enqueue(database, "ann", "we_2", [("wh_2", 1)])
    async with database.write("ann") as scope:
        await webhooks.postpone(scope, "wh_1", 3, 1)
    assert await due(database, 1, limit=1) == ["ann wh_2"]


async def test_a_deleted_endpoint_takes_its_deliveries_with_it(database: Database) -> None:
    await enqueue(database, "ann", "we_1", [("wh_1", 1)])
    async with database.write("ann") as scope:
        await webhooks.remove(scope, "we_1")
    assert await due(database, 1) == []
