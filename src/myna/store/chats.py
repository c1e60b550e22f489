"""Chats: list, create, change, delete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, func, true, tuple_

from myna.errors import NotFound
from myna.store import changes, search
from myna.store.records import Chat
from myna.store.scope import Scope
from myna.store.tables.chats import chats, messages

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


async def size(scope: Scope, chat_id: str) -> int:
    """Bytes of all texts of a chat."""
    row = await scope.first(scope.select(messages, func.sum(messages.c.size)).where(messages.c.chat_id == chat_id))
    return int((row and row[0]) or 0)


async def of_ids(scope: Scope, ids: Iterable[str]) -> dict[str, Chat]:
    """Those of the given chats that exist, by id."""
    rows = await scope.all(scope.select(chats, *COLUMNS).where(chats.c.id.in_(list(ids))))
    return {row.id: _chat(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which chats are listed. None: whether or not; ``project``: those of one, or of none with ``"none"``."""

    archived: bool | None = None
    pinned: bool | None = None
    project: str | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        """What is true of these chats alone."""
        said: list[ColumnElement[bool]] = [true()]
        for wanted, mark in ((self.archived, chats.c.archived_at), (self.pinned, chats.c.pinned_at)):
            if wanted is not None:
                said.append(mark.is_not(None) if wanted else mark.is_(None))
        if self.project is not None:
            project_id = None if self.project == "none" else self.project
            said.append(chats.c.project_id.is_not_distinct_from(project_id))
        return and_(*said)


EVERY_CHAT = Filter()

Chosen = Sequence[str] | Filter
"""Chats that are changed together: by their ids, some thousands at most, or however many a filter lets through."""


async def page(scope: Scope, before: tuple[int, str] | None, limit: int, which: Filter = EVERY_CHAT) -> list[Chat]:
    """Up to ``limit`` chats, latest first, that come after the chat with ``before``: its (updated_at, id)."""
    statement = scope.select(chats, *COLUMNS).where(which.condition)
    if before is not None:
        statement = statement.where(tuple_(chats.c.updated_at, chats.c.id) < before)
    statement = statement.order_by(chats.c.updated_at.desc(), chats.c.id.desc()).limit(limit)
    return [_chat(row) for row in await scope.all(statement)]


async def create(scope: Scope, chat: Chat) -> None:
    """Insert a chat."""
    await scope.add(chats, {column.name: getattr(chat, column.name) for column in COLUMNS})
    if chat.title is not None:
        await search.index_title(scope, chat.id, chat.title)
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
    if "title" in values:
        await search.index_title(scope, chat_id, row.title)
    await changes.record(scope, "chat", chat_id)
    return _chat(row)


async def delete(scope: Scope, chat_id: str) -> None:
    """Delete a chat with everything in it.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await delete_all(scope, [chat_id]):
        raise NotFound(f"There is no chat {chat_id}; it may have been deleted.", param="chat")


async def mark_all(
    scope: Scope, chosen: Chosen, mark: Literal["pinned_at", "archived_at"], at: int | None
) -> list[str]:
    """Set or, with None, remove a mark of those chats that there are; the ids of those that this changes."""
    column = chats.c[mark]
    is_other = column.is_not(None) if at is None else column.is_(None)
    return await _change_all(scope, is_other & _among(chosen), {mark: at})


async def move_all(scope: Scope, chosen: Chosen, project_id: str | None) -> list[str]:
    """Put those chats that there are into a project, or with None into none; the ids of those that this changes."""
    is_other = chats.c.project_id.is_distinct_from(project_id)
    return await _change_all(scope, is_other & _among(chosen), {"project_id": project_id})


async def delete_all(scope: Scope, chosen: Chosen) -> list[str]:
    """Delete those chats that there are with everything in them; their ids."""
    gone = await scope.all(scope.delete(chats).where(_among(chosen)).returning(chats.c.id))
    deleted = [row.id for row in gone]
    await changes.record_all(scope, "chat_deleted", deleted)
    return deleted


def _among(chosen: Chosen) -> ColumnElement[bool]:
    # All of a list are not named one by one: PostgreSQL takes no more than 65,535 values in a statement.
    return chosen.condition if isinstance(chosen, Filter) else chats.c.id.in_(chosen)


async def _change_all(scope: Scope, condition: ColumnElement[bool], values: dict[str, Any]) -> list[str]:
    statement = scope.update(chats).where(condition).values(**values, version=chats.c.version + 1)
    changed = [row.id for row in await scope.all(statement.returning(chats.c.id))]
    await changes.record_all(scope, "chat", changed)
    return changed
