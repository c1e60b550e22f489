"""Everything of one owner as JSON, piece by piece: what `myna.server.takeout` makes an archive of.

Chats are written as people think of them, one document each with every branch; every other table as it is, a line a
row. So what a later version stores is taken out as well, unless it is left out here by name.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import LargeBinary, Row, Select, Table, select

from myna.store.scope import Scope
from myna.store.tables import metadata
from myna.store.tables.chats import chats, messages, parts

LEFT_OUT = {
    "chats": "in a document of each",
    "messages": "in a document of each chat",
    "parts": "in their messages",
    "runs": "how answers came to be; what they are is in the messages",
    "run_events": "of answers that are still being written; the messages have what there is",
    "response_events": "of answers that are still being written",
    "changes": "which lists changed, for open tabs",
    "search_documents": "an index of the messages",
    "search_owners": "an index of the messages",
    "webhook_deliveries": "on their way",
    "upload_parts": "of uploads that are not complete",
    "second_factors": "a secret",
    "recovery_codes": "hashes of secrets",
}
"""Tables with an owner that are not taken out as they are, and why."""

HIDDEN = {"owner", "digest", "secret", "old_secret", "password", "blob"}
"""Columns that are secrets, their hashes, or places on this server's disk."""

_PAGE = 100


async def tables(scope: Scope) -> AsyncIterator[tuple[str, bytes]]:
    """The rows of the tables: (name of the table, one row as a line of JSON), a table after the other."""
    for table in metadata.sorted_tables:
        if "owner" not in table.c or table.name in LEFT_OUT:
            continue
        async for row in _rows(scope, _shown(scope, table)):
            yield table.name, _line(dict(row._mapping))


async def conversations(scope: Scope) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """The chats, oldest first: (id, the document in pieces). Each is read to its end before the next is asked for."""
    statement = scope.select(chats).order_by(chats.c.created_at, chats.c.id)
    for row in await scope.all(statement.with_only_columns(chats.c.id)):
        yield row.id, _conversation(scope, row.id)


async def _conversation(scope: Scope, chat_id: str) -> AsyncIterator[bytes]:
    row = await scope.first(_shown(scope, chats).where(chats.c.id == chat_id))
    assert row is not None
    yield b'{"chat":' + _json(dict(row._mapping)) + b',"messages":['
    before = b"\n"
    after: tuple[int, str] = (-1, "")
    while page := await scope.all(_page_of(scope, chat_id, after)):
        texts = await _texts(scope, [message.id for message in page])
        for message in page:
            document = dict(message._mapping) | {"parts": texts.get(message.id, [])}
            yield before + _json(document)
            before = b",\n"
        after = page[-1].created_at, page[-1].id
    yield b"\n]}\n"


def _page_of(scope: Scope, chat_id: str, after: tuple[int, str]) -> Select[Any]:
    at, message_id = after
    later = (messages.c.created_at > at) | ((messages.c.created_at == at) & (messages.c.id > message_id))
    statement = _shown(scope, messages).where(messages.c.chat_id == chat_id, later)
    return statement.order_by(messages.c.created_at, messages.c.id).limit(_PAGE)


async def _texts(scope: Scope, ids: list[str]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    statement = scope.select(parts, parts.c.message_id, parts.c.type, parts.c.text).where(parts.c.message_id.in_(ids))
    for row in await scope.all(statement.order_by(parts.c.message_id, parts.c.position)):
        found.setdefault(row.message_id, []).append({"type": row.type, "text": row.text})
    return found


def _shown(scope: Scope, table: Table) -> Select[Any]:
    """A table's columns but those that are hidden, and bytes, which are tokens."""
    columns = [column for column in table.c if column.name not in HIDDEN and not isinstance(column.type, LargeBinary)]
    return select(*columns).where(table.c.owner == scope.owner)


async def _rows(scope: Scope, statement: Select[Any]) -> AsyncIterator[Row[Any]]:
    """Rows as they are read, not all at once."""
    async with scope.transaction.connection.stream(statement) as result:
        async for row in result:
            yield row


def _line(values: dict[str, Any]) -> bytes:
    return _json(values) + b"\n"


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, default=str).encode()
