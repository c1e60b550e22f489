"""A chat's tree without its texts: what a screen needs to know of a message before it comes into sight."""

from __future__ import annotations

from sqlalchemy import func

from myna.store.records import Node
from myna.store.scope import Scope
from myna.store.sizes import size
from myna.store.tables.chats import messages, parts


async def tree(scope: Scope, chat_id: str) -> list[Node]:
    """Every message of a chat, oldest first, in one query that gives no text back."""
    text = (
        scope.select(parts, func.coalesce(func.sum(size(parts.c.text)), 0))
        .where(parts.c.message_id == messages.c.id)
        .correlate(messages)
        .scalar_subquery()
    )
    columns = (
        messages.c.id,
        messages.c.parent_id,
        messages.c.role,
        messages.c.status,
        messages.c.model,
        messages.c.created_at,
        messages.c.edited_at,
        text.label("size"),
    )
    statement = scope.select(messages, *columns).where(messages.c.chat_id == chat_id)
    rows = await scope.all(statement.order_by(messages.c.created_at, messages.c.id))
    return [Node(**row._mapping) for row in rows]
