"""A chat's tree without its texts: what a screen needs to know of a message before it comes into sight."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Integer, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from myna.store.records import Node
from myna.store.scope import Scope
from myna.store.tables.chats import messages, parts


class _size(FunctionElement[int]):  # noqa: N801 - as SQLAlchemy's functions are spelled
    """Bytes of a text, or its characters where the database would have to read it anyway to tell."""

    type = Integer()
    inherit_cache = True


@compiles(_size)
def _octets(element: _size, compiler: SQLCompiler, **how: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **how)})"


@compiles(_size, "sqlite")
def _sqlite_octets(element: _size, compiler: SQLCompiler, **how: Any) -> str:
    name = "octet_length" if sqlite3.sqlite_version_info >= (3, 43) else "length"
    return f"{name}({compiler.process(element.clauses, **how)})"


async def tree(scope: Scope, chat_id: str) -> list[Node]:
    """Every message of a chat, oldest first, in one query that gives no text back."""
    size = (
        scope.select(parts, func.coalesce(func.sum(_size(parts.c.text)), 0))
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
        size.label("size"),
    )
    statement = scope.select(messages, *columns).where(messages.c.chat_id == chat_id)
    rows = await scope.all(statement.order_by(messages.c.created_at, messages.c.id))
    return [Node(**row._mapping) for row in rows]
