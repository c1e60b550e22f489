"""Search over titles and messages: which texts have all the words that are asked for, the latest first.

A row says which different words a text has; nothing says where, so the text itself is not kept twice, and a phrase is
looked for in the few texts that have all of its words. Every word is kept behind its owner's number, so that what one
owner has costs another nothing and tells him nothing, and rows are numbered in the order of their coming within an
owner, so that the latest are found without sorting. A row goes with its message or chat, in the same transaction,
whatever deletes those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, groupby, islice
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Row,
    Select,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from myna.store import words
from myna.store.query import Term
from myna.store.scope import Scope
from myna.store.tables.chats import chats, messages, parts
from myna.store.tables.search import search_documents, search_owners

OWNER_BITS = 40
"""Of a row's number, below its owner's."""
_WITHIN = (1 << OWNER_BITS) - 1
LATEST = 2_000
"""Rows that PostgreSQL looks through before it asks the index of words."""
READ_CHARACTERS = 50_000
"""Of a text, where what was found is looked for to be shown."""
_MATCHING = text(
    "SELECT rowid FROM search_index WHERE search_index MATCH :asked AND rowid < :before ORDER BY rowid DESC LIMIT :most"
)
_BATCH = 50
_LONG = 50_000
"""Characters of a text whose words are found beside the event loop."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that has all the words; ``entry`` tells where a list goes on."""

    entry: int
    message_id: str
    chat_id: str
    role: str
    created_at: int
    text: str


async def index(scope: Scope, message_id: str, said: str) -> None:
    """Make a message be found by what it says now."""
    await _replace(scope, "m", said, message_id=message_id)


async def index_title(scope: Scope, chat_id: str, title: str | None) -> None:
    """Make a chat be found by its title."""
    await _replace(scope, "t", title or "", chat_id=chat_id)


async def copy_messages(scope: Scope, ids: CTE) -> None:
    """Make copies of messages be found as what they are copies of is: rows of (position, old, new) of one statement."""
    _, entry = await _next(scope)
    copied = scope.select(
        search_documents,
        (ids.c.position + entry).label("entry"),
        literal(scope.owner).label("owner"),
        ids.c.new.label("message_id"),
        search_documents.c.words,
    ).where(search_documents.c.message_id == ids.c.old)
    names = ["entry", "owner", "message_id", "words"]
    await scope.run(insert(search_documents).from_select(names, copied.order_by(ids.c.position)))


async def titled(scope: Scope, terms: Sequence[Term], limit: int) -> list[str]:
    """The ids of chats whose titles have all the words, those made last first."""
    if (known := await _known(scope)) is None:
        return []
    statement = _matching(scope, known.number, "t", terms, None, limit)
    return [row.chat_id for row in await scope.all(statement)]


async def candidates(scope: Scope, terms: Sequence[Term], before: int | None, limit: int) -> list[Candidate]:
    """Messages that have all the words, the latest first, after the row ``before``; their texts from the beginning."""
    if (known := await _known(scope)) is None:
        return []
    if _dialect(scope) == "sqlite":
        return await _texts(scope, _matching(scope, known.number, "m", terms, before, limit))
    # PostgreSQL cannot tell whether a word is common, and would look through everything for a rare one, or sort half of
    # everything for a common one. So the latest are looked through, where common ones are; then the index is asked.
    newest = (known.newest or 0) & _WITHIN
    following = newest + 1 if before is None else min(before, newest + 1)
    found = await _texts(scope, _latest(scope, known.number, terms, following, limit))
    if len(found) < limit and following > LATEST:
        older = _matching(scope, known.number, "m", terms, following - LATEST, limit - len(found))
        found += await _texts(scope, older)
    return found


async def _texts(scope: Scope, matching: Select[Any]) -> list[Candidate]:
    """What these rows of the index are of, the latest first."""
    found = matching.subquery()
    statement = (
        scope.select(
            messages,
            found.c.entry,
            messages.c.id,
            messages.c.chat_id,
            messages.c.role,
            messages.c.created_at,
            func.substr(parts.c.text, 1, READ_CHARACTERS).label("text"),
        )
        .join(found, found.c.message_id == messages.c.id)
        .join(parts, (parts.c.owner == messages.c.owner) & (parts.c.message_id == messages.c.id))
        .where(parts.c.type == "text")
        .order_by(found.c.entry.desc(), parts.c.position)
    )
    rows = await scope.all(statement)
    return [_candidate(list(of_one)) for _, of_one in groupby(rows, key=lambda row: row.entry)]


def rebuild(connection: Connection) -> int:
    """Index every owner's texts anew; how many there are. For a database into which rows were copied."""
    connection.execute(delete(search_documents))
    connection.execute(delete(search_owners))
    indexed = 0
    owners = connection.execute(select(chats.c.owner).distinct().order_by(chats.c.owner)).scalars().all()
    for number, owner in enumerate(owners, start=1):
        connection.execute(insert(search_owners), {"owner": owner, "number": number})
        entries = count((number << OWNER_BITS) + 1)
        titles = (
            select(chats.c.id, chats.c.title.label("text"))
            .where(chats.c.owner == owner, chats.c.title.is_not(None))
            .order_by(chats.c.created_at, chats.c.id)
        )
        said = (
            select(messages.c.id, parts.c.text)
            .join(parts, (parts.c.owner == messages.c.owner) & (parts.c.message_id == messages.c.id))
            .where(messages.c.owner == owner, messages.c.status != "running", parts.c.type == "text")
            .order_by(messages.c.created_at, messages.c.id, parts.c.position)
        )
        for kind, key, statement in (("t", "chat_id", titles), ("m", "message_id", said)):
            found = connection.execute(statement, execution_options={"yield_per": _BATCH})
            rows = (
                {"entry": next(entries), "owner": owner, "chat_id": None, "message_id": None, key: each}
                | {"kept": _kept(connection, f"{number}{kind}", words.distinct("".join(row.text for row in of_one)))}
                for each, of_one in groupby(found, key=lambda row: row.id)
            )
            while batch := list(islice(rows, _BATCH)):
                connection.execute(_add(connection), batch)
                indexed += len(batch)
    return indexed


async def _replace(scope: Scope, kind: str, said: str, **key: str) -> None:
    ((name, value),) = key.items()
    found = words.distinct(said) if len(said) < _LONG else await asyncio.to_thread(words.distinct, said)
    gone = await scope.first(
        scope.delete(search_documents).where(search_documents.c[name] == value).returning(search_documents.c.entry)
    )
    if not found:
        return
    number, entry = await _next(scope)
    connection = scope.transaction.connection
    row = {"entry": entry if gone is None else gone.entry, "owner": scope.owner, **key}
    await connection.execute(_add(connection), row | {"kept": _kept(connection, f"{number}{kind}", found)})


async def _known(scope: Scope) -> Row[Any] | None:
    """The owner's ``number``, and ``newest``, that of the latest row of his; None where he never had any."""
    rows = literal(1 << OWNER_BITS, BigInteger)
    first = search_owners.c.number * rows
    newest = (
        select(func.max(search_documents.c.entry))
        .where(search_documents.c.entry >= first, search_documents.c.entry < first + rows)
        .scalar_subquery()
    )
    return await scope.first(scope.select(search_owners, search_owners.c.number, newest.label("newest")))


async def _next(scope: Scope) -> tuple[int, int]:
    """The owner's number, and the one of the next row of his. Writers take turns, so nobody else gets it too."""
    row = await _known(scope)
    if row is None:
        following = select(func.coalesce(func.max(search_owners.c.number), 0) + 1).scalar_subquery()
        await scope.run(insert(search_owners).values(owner=scope.owner, number=following))
        row = await _known(scope)
        assert row is not None
    return row.number, (row.newest or row.number << OWNER_BITS) + 1


def _matching(
    scope: Scope, number: int, kind: str, terms: Sequence[Term], before: int | None, limit: int
) -> Select[Any]:
    """The rows of an owner that have all the words, the latest first."""
    asked = _asked(number, kind, terms)
    lowest, highest = number << OWNER_BITS, (number + 1) << OWNER_BITS
    before = highest if before is None else min(lowest + before, highest)
    rows = scope.select(search_documents)
    if _dialect(scope) == "sqlite":
        # Words have no quotes, so there is nothing to escape.
        match = " AND ".join(f'"{word}"{"*" if is_beginning else ""}' for word, is_beginning in asked)
        found = _MATCHING.bindparams(asked=match, before=before, most=limit).columns(search_documents.c.entry)
        rows = rows.where(search_documents.c.entry.in_(found))
        return rows.order_by(search_documents.c.entry.desc()).limit(limit)
    # A sum has no index: the words' own is used, never that of the numbers.
    entry = search_documents.c.entry + 0
    rows = rows.where(_has(search_documents.c.words, asked), entry > lowest, entry < before)
    return rows.order_by(entry.desc()).limit(limit)


def _latest(scope: Scope, number: int, terms: Sequence[Term], before: int, limit: int) -> Select[Any]:
    """The same among the messages and titles that came just before, which PostgreSQL reads one after the other."""
    end = (number << OWNER_BITS) + before
    columns = search_documents.c
    rows = scope.select(search_documents, columns.entry, columns.message_id, columns.words)
    rows = rows.where(columns.entry > number << OWNER_BITS, columns.entry >= end - LATEST, columns.entry < end)
    # The offset keeps the condition on the words out of there, and with it their index.
    latest = rows.order_by(columns.entry.desc()).offset(0).subquery()
    found = select(latest.c.entry, latest.c.message_id).where(_has(latest.c.words, _asked(number, "m", terms)))
    return found.order_by(latest.c.entry.desc()).limit(limit)


def _asked(number: int, kind: str, terms: Sequence[Term]) -> list[tuple[str, bool]]:
    return [(f"{number}{kind}{word}", is_beginning) for term in terms for word, is_beginning in term.words]


def _has(kept: ColumnElement[Any], asked: Sequence[tuple[str, bool]]) -> ColumnElement[bool]:
    """PostgreSQL's condition that a row has all these words."""
    match = " & ".join(f"'{word}'{':*' if is_beginning else ''}" for word, is_beginning in asked)
    return kept.op("@@", is_comparison=True)(cast(match, TSQUERY))


def _add(connection: Connection | AsyncConnection) -> Insert:
    """Adds a row with what `_kept` gives as ``kept``."""
    if connection.dialect.name == "sqlite":
        return insert(search_documents).values(words=bindparam("kept", type_=Text))
    return insert(search_documents).values(words=func.array_to_tsvector(bindparam("kept", type_=ARRAY(Text))))


def _kept(connection: Connection | AsyncConnection, tag: str, found: Sequence[str]) -> str | list[str]:
    """Words as they are given to a row: SQLite's triggers put the tag before each."""
    return " ".join(found) if connection.dialect.name == "sqlite" else [tag + word for word in found]


def _dialect(scope: Scope) -> str:
    return scope.transaction.connection.dialect.name


def _candidate(rows: Sequence[Row[Any]]) -> Candidate:
    """Of the rows of one message, a row a part."""
    row = rows[0]
    entry = row.entry & _WITHIN
    return Candidate(entry, row.id, row.chat_id, row.role, row.created_at, "".join(part.text for part in rows))
