"""Everything of one owner as JSON, piece by piece: what `myna.server.takeout` makes an archive of.

Chats are written as people think of them, one document each with every branch; every other table as it is, a line a
row. So what a later version stores is taken out as well, unless it is left out here by name. What takes long is done
beside the event loop, a bounded piece at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
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

_ROWS = 50
"""Of a table, encoded together."""
_MESSAGES, _BYTES = 100, 4_000_000
"""Of a chat, read and encoded together, at most; one message may be larger."""


async def tables(scope: Scope) -> AsyncIterator[tuple[str, bytes]]:
    """The rows of the tables: (name of the table, some rows as lines of JSON), a table after the other."""
    for table in metadata.sorted_tables:
        if "owner" not in table.c or table.name in LEFT_OUT:
            continue
        async with scope.transaction.connection.stream(_shown(scope, table)) as result:
            async for rows in result.partitions(_ROWS):
                yield table.name, await asyncio.to_thread(_lines, rows)


async def conversations(scope: Scope) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """The chats, oldest first: (id, the document in pieces). Each is read to its end before the next is asked for."""
    statement = scope.select(chats).order_by(chats.c.created_at, chats.c.id)
    for row in await scope.all(statement.with_only_columns(chats.c.id)):
        yield row.id, _conversation(scope, row.id)


async def _conversation(scope: Scope, chat_id: str) -> AsyncIterator[bytes]:
    row = await scope.first(_shown(scope, chats).where(chats.c.id == chat_id))
    assert row is not None
    yield b'{"chat":' + _json(dict(row._mapping)) + b',"messages":['
    sizes = scope.select(messages, messages.c.id, messages.c.size).where(messages.c.chat_id == chat_id)
    before = b"\n"
    for ids in _pages(await scope.all(sizes.order_by(messages.c.created_at, messages.c.id))):
        found = {row.id: row for row in await scope.all(_shown(scope, messages).where(messages.c.id.in_(ids)))}
        texts = await _texts(scope, ids)
        yield before + await asyncio.to_thread(_documents, [found[each] for each in ids], texts)
        before = b",\n"
    yield b"\n]}\n"


def _pages(sizes: Iterable[Row[Any]]) -> Iterator[list[str]]:
    """Ids of messages that are read together, from rows of (id, size)."""
    page: list[str] = []
    size = 0
    for row in sizes:
        if page and (len(page) == _MESSAGES or size + row.size > _BYTES):
            yield page
            page, size = [], 0
        page.append(row.id)
        size += row.size
    if page:
        yield page


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


def _documents(rows: Iterable[Row[Any]], texts: dict[str, list[dict[str, str]]]) -> bytes:
    return b",\n".join(_json(dict(row._mapping) | {"parts": texts.get(row.id, [])}) for row in rows)


def _lines(rows: Iterable[Row[Any]]) -> bytes:
    return b"".join(_json(dict(row._mapping)) + b"\n" for row in rows)


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, default=str).encode()
