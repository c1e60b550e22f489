"""What one does with the messages of a chat: change a text in place or as another version, fork a branch off."""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from typing import Any

from sqlalchemy import CTE, BigInteger, ColumnClause, column, insert, literal, select, values

from myna.chat import TextPart
from myna.errors import Conflict, NotFound
from myna.store import chats, messages, search
from myna.store.records import Chat, Message, MessagePart, now
from myna.store.scope import Scope
from myna.store.tables.base import ID
from myna.store.tables.chats import chats as chat_rows
from myna.store.tables.chats import messages as message_rows
from myna.store.tables.chats import parts as part_rows

_BATCH = 500
"""Messages that are copied by one statement; none of their text passes through this program."""
_UNSETTLED = ("running", "waiting")


async def edit(scope: Scope, message_id: str, text: str, *, known: int | None, overwrite: bool = False) -> Message:
    """Change a message's text in place. Its token ids go with the text that they were the tokens of.

    Args:
        scope: whose.
        message_id: a message of either side.
        text: what it says from now on.
        known: ``edited_at`` of the text that was changed.
        overwrite: change it whatever it says by now.

    Raises:
        NotFound: the owner has no such message.
        Conflict: it is being written or waits, or was edited elsewhere meanwhile.
    """
    message = await messages.get(scope, message_id)
    _check_settled(message)
    if message.text == text:
        return message
    if message.edited_at != known and not overwrite:
        raise Conflict(
            "This message was changed in another tab or browser meanwhile. Look at it there, then save again.",
            param="edited_at",
        )
    edited_at = max(now(), (message.edited_at or 0) + 1)
    said = _saying(message, text)
    await messages.rewrite(scope, message_id, said, edited_at=edited_at)
    return dataclasses.replace(message, parts=said, edited_at=edited_at)


async def copy(scope: Scope, message_id: str, new_id: str, text: str) -> tuple[Chat, Message]:
    """Put another version of a message beside it, which is shown from then on; the one it is a copy of stays.

    Raises:
        NotFound: the owner has no such message.
        Conflict: it is being written or waits, or the new id is in use for something else.
    """
    message = await messages.get(scope, message_id)
    _check_settled(message)
    known = await messages.find(scope, new_id)
    if known is not None:
        if (known.chat_id, known.parent_id, known.text) != (message.chat_id, message.parent_id, text):
            raise Conflict(f"Message {new_id} exists already; make a new id.", param="id")
        return await chats.get(scope, message.chat_id), known
    at = max(now(), message.created_at + 1)
    made = dataclasses.replace(
        message,
        id=new_id,
        parts=_saying(message, text),
        status="complete",
        created_at=at,
        run_id=None,
        usage=None,
        error=None,
        edited_at=at,
    )
    await messages.add(scope, made)
    return await chats.update(scope, message.chat_id, leaf_id=new_id, updated_at=at), made


async def fork(scope: Scope, chat_id: str, message_id: str, new_id: str, title: str | None = None) -> Chat:
    """Make a chat of a branch, from its root to ``message_id``, token ids included.

    The ids of its messages follow from its own and theirs, so that a request that is sent again makes nothing.
    ``title`` is what it is called, with a number behind it if the owner has a chat of that title; None: as the source.

    Raises:
        NotFound: the owner has no such chat, or it no such message.
        Conflict: the branch is being written, or the new id is in use for something else.
    """
    source = await chats.get(scope, chat_id)
    leaf_id = _forked(new_id, message_id)
    if (known := await chats.find(scope, new_id)) is not None:
        if (await messages.of_ids(scope, [leaf_id])).get(leaf_id) is None:
            raise Conflict(f"Chat {new_id} exists already; make a new id.", param="id")
        return known
    path = messages.path(scope, chat_id, message_id)
    above = await scope.all(select(path.c.id, path.c.status).order_by(path.c.height.desc()))
    if not above:
        raise NotFound(f"There is no message {message_id} in this chat; it may have been deleted.", param="message_id")
    if any(row.status in _UNSETTLED for row in above):
        raise Conflict("This branch is still being written; stop it or wait for its end.", param="message_id")
    at = now()
    chat = dataclasses.replace(
        source,
        id=new_id,
        title=source.title if title is None else await _untaken(scope, title),
        leaf_id=leaf_id,
        created_at=at,
        updated_at=at,
        version=1,
        pinned_at=None,
        archived_at=None,
    )
    await chats.create(scope, chat)
    ids = [row.id for row in above]
    branch = list(zip([None, *ids], ids, strict=False))
    for start in range(0, len(branch), _BATCH):
        await _copy_rows(scope, new_id, branch[start : start + _BATCH])
    return chat


async def _untaken(scope: Scope, title: str) -> str:
    begins_so = chat_rows.c.title.startswith(title, autoescape=True)
    taken = {row.title for row in await scope.all(scope.select(chat_rows, chat_rows.c.title).where(begins_so))}
    if title not in taken:
        return title
    return next(numbered for n in itertools.count(2) if (numbered := f"{title} ({n})") not in taken)


async def _copy_rows(scope: Scope, chat_id: str, branch: list[tuple[str | None, str]]) -> None:
    """Copy messages, given as (parent, message) of the source, with their parts."""
    ids = _mapping([(old, _forked(chat_id, old), parent and _forked(chat_id, parent)) for parent, old in branch])
    changed = {
        "owner": literal(scope.owner),
        "id": ids.c.new,
        "chat_id": literal(chat_id),
        "parent_id": ids.c.parent,
        "run_id": literal(None, ID),
    }
    copied = scope.select(message_rows, *(changed.get(each.name, each).label(each.name) for each in message_rows.c))
    copied = copied.where(message_rows.c.id == ids.c.old).order_by(ids.c.position)
    await scope.run(insert(message_rows).from_select([each.name for each in message_rows.c], copied))
    changed = {"owner": literal(scope.owner), "message_id": ids.c.new}
    copied = scope.select(part_rows, *(changed.get(each.name, each).label(each.name) for each in part_rows.c))
    copied = copied.where(part_rows.c.message_id == ids.c.old)
    await scope.run(insert(part_rows).from_select([each.name for each in part_rows.c], copied))
    await search.copy_messages(scope, ids)


def _mapping(rows: list[tuple[str, str, str | None]]) -> CTE:
    """Rows of (id, new id, new parent's id), in their order, as a statement has them."""
    position: ColumnClause[Any] = column("position", BigInteger)
    names = (position, column("old", ID), column("new", ID), column("parent", ID))
    return values(*names, name="ids").data([(n, *row) for n, row in enumerate(rows)]).cte("ids")


def _forked(chat_id: str, message_id: str) -> str:
    return str(uuid.uuid5(uuid.UUID(chat_id), message_id))


def _saying(message: Message, text: str) -> tuple[MessagePart, ...]:
    return (*(part for part in message.parts if not isinstance(part, TextPart)), TextPart(text))


def _check_settled(message: Message) -> None:
    if message.status in _UNSETTLED:
        raise Conflict(f"Message {message.id} is still {message.status}; stop it or wait for its end.")
