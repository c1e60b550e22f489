"""How fast each model has answered on this server, of all users together."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, insert, select

from myna.store.records import Speed
from myna.store.scope import Transaction
from myna.store.tables.models import speeds


async def load(transaction: Transaction) -> list[Speed]:
    """What was measured of every model."""
    rows = (await transaction.connection.execute(select(*speeds.c))).all()
    return [Speed(**row._mapping) for row in rows]


async def save(transaction: Transaction, measured: Iterable[Speed]) -> None:
    """Replace what was measured of these models."""
    for speed in measured:
        await transaction.connection.execute(delete(speeds).where(speeds.c.model == speed.model))
        values = {"model": speed.model, "tokens": speed.tokens, "seconds": speed.seconds, "at": speed.at}
        await transaction.connection.execute(insert(speeds).values(values))
