"""Runs that wait for the end of an answer above them."""

from __future__ import annotations

from sqlalchemy import func

from myna.store.scope import Scope
from myna.store.tables.chats import messages, runs


async def count(scope: Scope, chat_id: str) -> int:
    """How many wait in a chat."""
    waiting = scope.select(runs, func.count().label("number")).where(
        runs.c.chat_id == chat_id, runs.c.status == "waiting"
    )
    row = await scope.first(waiting)
    assert row is not None
    return int(row.number)


async def below(scope: Scope, message_id: str) -> list[str]:
    """The runs that wait for the answer ``message_id``, oldest first."""
    answer, asked = messages.alias("answer"), messages.alias("asked")
    statement = (
        scope.select(runs, runs.c.id)
        .join(answer, (answer.c.owner == runs.c.owner) & (answer.c.id == runs.c.message_id))
        .join(asked, (asked.c.owner == runs.c.owner) & (asked.c.id == answer.c.parent_id))
        .where(runs.c.status == "waiting", asked.c.parent_id == message_id)
        .order_by(runs.c.created_at, runs.c.id)
    )
    return [row.id for row in await scope.all(statement)]
