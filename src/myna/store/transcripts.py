"""A chat's tree without its texts: what a screen needs to know of a message before it comes into sight."""

from __future__ import annotations

from myna.store.records import Node
from myna.store.scope import Scope
from myna.store.tables.chats import messages


async def tree(scope: Scope, chat_id: str) -> list[Node]:
    """Every message of a chat, oldest first, in one query that reads no text."""
    columns = (
        messages.c.id,
        messages.c.parent_id,
        messages.c.role,
        messages.c.status,
        messages.c.model,
        messages.c.created_at,
        messages.c.edited_at,
        messages.c.size,
    )
    statement = scope.select(messages, *columns).where(messages.c.chat_id == chat_id)
    rows = await scope.all(statement.order_by(messages.c.created_at, messages.c.id))
    return [Node(*tuple(row)) for row in rows]
