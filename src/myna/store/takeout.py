"""Everything of one owner, piece by piece: what `myna.server.takeout` makes an archive of.

Chats are written as people think of them, one document each with every branch, and beside it the branch that is shown
as Markdown; every other table as it is, a line of JSON a row. So what a later version stores is taken out as well,
unless it is left out here by name. What takes long is done beside the event loop, a bounded piece at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import LargeBinary, Row, Select, Table, select

from myna.errors import NotFound
from myna.store import readable
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


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat to be taken out. ``pieces``: of its JSON document and of its Markdown, read to their end before another's.

    Times are Unix milliseconds.
    """

    id: str
    title: str | None
    created_at: int
    updated_at: int
    pieces: AsyncIterator[tuple[bytes, bytes]]


async def conversations(scope: Scope) -> AsyncIterator[Conversation]:
    """The chats, oldest first. Each is read to its end before the next is asked for."""
    statement = scope.select(chats).order_by(chats.c.created_at, chats.c.id)
    for row in await scope.all(statement.with_only_columns(chats.c.id)):
        yield await conversation(scope, row.id)


async def conversation(scope: Scope, chat_id: str) -> Conversation:
    """One chat.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(_shown(scope, chats).where(chats.c.id == chat_id))
    if row is None:
        raise NotFound(f"There is no chat {chat_id}; it may have been deleted.", param="chat")
    return Conversation(row.id, row.title, row.created_at, row.updated_at, _pieces(scope, dict(row._mapping)))


async def _pieces(scope: Scope, chat: dict[str, Any]) -> AsyncIterator[tuple[bytes, bytes]]:
    columns = (messages.c.id, messages.c.parent_id, messages.c.size)
    tree = scope.select(messages, *columns).where(messages.c.chat_id == chat["id"])
    rows = await scope.all(tree.order_by(messages.c.created_at, messages.c.id))
    branch = _branch(rows, chat["leaf_id"])
    versions = Counter(row.parent_id for row in rows)
    above = readable.heading(chat, len(rows) - len(branch))
    yield b'{"chat":' + _json(chat) + b',"messages":[', above.encode()
    before = b"\n"
    for ids in _pages(rows):
        found = {row.id: dict(row._mapping) for row in await scope.all(_shown(scope, messages, ids))}
        texts = await _texts(scope, ids)
        document, text = await asyncio.to_thread(_written, [found[each] for each in ids], texts, branch, versions)
        yield before + document, text
        before = b",\n"
    yield b"\n]}\n", b""


def _branch(rows: Sequence[Row[Any]], leaf_id: str | None) -> set[str]:
    """The messages from the root to the leaf; to the youngest where none is named, or one that is not there.

    A message is younger than its parent (`myna.runs.service` sees to it), so rows in order of time have it in order.
    """
    parents = {row.id: row.parent_id for row in rows}
    at = leaf_id if leaf_id in parents else next(reversed(parents), None)
    branch: set[str] = set()
    while at is not None:
        branch.add(at)
        at = parents.get(at)
    return branch


def _pages(sizes: Iterable[Row[Any]]) -> Iterator[list[str]]:
    """Ids of messages that are read together, from rows with their id and size."""
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


def _shown(scope: Scope, table: Table, ids: list[str] | None = None) -> Select[Any]:
    """A table's columns but those that are hidden, and bytes, which are tokens; of some rows, if they are named."""
    columns = [column for column in table.c if column.name not in HIDDEN and not isinstance(column.type, LargeBinary)]
    statement = select(*columns).where(table.c.owner == scope.owner)
    return statement if ids is None else statement.where(table.c.id.in_(ids))


def _written(
    rows: list[dict[str, Any]], texts: dict[str, list[dict[str, str]]], branch: set[str], versions: Counter[str | None]
) -> tuple[bytes, bytes]:
    """Messages as JSON, and those of the branch as Markdown."""
    document = b",\n".join(_json(row | {"parts": texts.get(row["id"], [])}) for row in rows)
    shown = (row for row in rows if row["id"] in branch)
    text = "".join(readable.message(row, texts.get(row["id"], []), versions[row["parent_id"]]) for row in shown)
    return document, text.encode()


def _lines(rows: Iterable[Row[Any]]) -> bytes:
    return b"".join(_json(dict(row._mapping)) + b"\n" for row in rows)


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, default=str).encode()
