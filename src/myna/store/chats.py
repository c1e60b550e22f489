"""Chats: list, create, change, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, tuple_

from myna.errors import NotFound
from myna.store import changes
from myna.store.records import Chat
from myna.store.scope import Scope
from myna.store.tables.chats import chats

COLUMNS = [column for column in chats.c if column is not chats.c.owner]


def _chat(row: Row[Any]) -> Chat:
    return Chat(**row._mapping)


async def find(scope: Scope, chat_id: str) -> Chat | None:
    """A chat, or None if the owner has none of this id."""
    row = await scope.first(scope.select(chats, *COLUMNS).where(chats.c.id == chat_id))
    return None if row is None else _chat(row)


async def get(scope: Scope, chat_id: str) -> Chat:
    """A chat.

    Raises:
        NotFound: the owner has none of this id.
    """
    chat = await find(scope, chat_id)
    if chat is None:
        raise NotFound(f"There is no chat {chat_id}; it may have been deleted.", param="chat")
    return chat


async def of_ids(scope: Scope, ids: Iterable[str]) -> dict[str, Chat]:
    """Those of the given chats that exist, by id."""
    rows = await scope.all(scope.select(chats, *COLUMNS).where(chats.c.id.in_(list(ids))))
    return {row.id: _chat(row) for row in rows}


async def page(scope: Scope, before: tuple[int, str] | None, limit: int) -> list[Chat]:
    """Up to ``limit`` chats, latest first, that come after the chat with ``before``: its (updated_at, id)."""
    statement = scope.select(chats, *COLUMNS)
    if before is not None:
        statement = statement.where(tuple_(chats.c.updated_at, chats.c.id) < before)
    statement = statement.order_by(chats.c.updated_at.desc(), chats.c.id.desc()).limit(limit)
    return [_chat(row) for row in await scope.all(statement)]


async def create(scope: Scope, chat: Chat) -> None:
    """Insert a chat."""
    await scope.add(chats, {column.name: getattr(chat, column.name) for column in COLUMNS})
    await changes.record(scope, "chat", chat.id)


async def update(scope: Scope, chat_id: str, **values: Any) -> Chat:
    """Change columns of a chat and count its version up.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(
        scope.update(chats)
        .where(chats.c.id == chat_id)
        .values(**values, version=chats.c.version + 1)
        .returning(*COLUMNS)
    )
    if row is None:
        raise NotFound(f"There is no chat {chat_id}; it may have been deleted.", param="chat")
    await changes.record(scope, "chat", chat_id)
    return _chat(row)


async def delete(scope: Scope, chat_id: str) -> None:
    """Delete a chat with everything in it.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(chats).where(chats.c.id == chat_id)):
        raise NotFound(f"There is no chat {chat_id}; it may have been deleted.", param="chat")
    await changes.record(scope, "chat_deleted", chat_id)
