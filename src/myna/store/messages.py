"""Messages: a tree a chat, every branch of it kept; each message with its ordered parts."""

from __future__ import annotations

import dataclasses
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, literal

from myna import chat
from myna.chat import ReasoningPart, TextPart
from myna.errors import Conflict, NotFound
from myna.store import changes, chats, search
from myna.store.records import OPEN, Failure, Message, MessagePart, MessageStatus, Usage
from myna.store.scope import Scope
from myna.store.tables.chats import messages, parts, runs

PARTS: dict[str, type[TextPart] | type[ReasoningPart]] = {"text": TextPart, "reasoning": ReasoningPart}
"""What a message's parts are, by the type of their rows."""


def pack(token_ids: Sequence[int] | None) -> bytes | None:
    """Token ids as little-endian int32, four bytes each."""
    return None if token_ids is None else struct.pack(f"<{len(token_ids)}i", *token_ids)


def unpack(packed: bytes | None) -> tuple[int, ...] | None:
    """Inverse of `pack`."""
    return None if packed is None else struct.unpack(f"<{len(packed) // 4}i", packed)


def _message(row: Row[Any], of_message: Iterable[MessagePart]) -> Message:
    return Message(
        id=row.id,
        chat_id=row.chat_id,
        parent_id=row.parent_id,
        role=row.role,
        parts=tuple(of_message),
        status=row.status,
        model=row.model,
        created_at=row.created_at,
        run_id=row.run_id,
        usage=Usage(**row.usage) if row.usage else None,
        error=Failure(**row.error) if row.error else None,
        parameters=row.parameters,
        edited_at=row.edited_at,
    )


async def _select(scope: Scope, condition: ColumnElement[bool], *, with_tokens: bool) -> list[Message]:
    """Messages that meet a condition, oldest first, in two queries however many they are."""
    rows = await scope.all(scope.select(messages).where(condition).order_by(messages.c.created_at, messages.c.id))
    if not rows:
        return []
    columns = [
        parts.c.message_id,
        parts.c.type,
        parts.c.text,
        *((parts.c.token_ids, parts.c.tokenizer) if with_tokens else ()),
    ]
    of_message: dict[str, list[MessagePart]] = defaultdict(list)
    statement = (
        scope.select(parts, *columns)
        .join(messages, (messages.c.owner == parts.c.owner) & (messages.c.id == parts.c.message_id))
        .where(condition)
        .order_by(parts.c.message_id, parts.c.position)
    )
    for row in await scope.all(statement):
        tokens = (unpack(row.token_ids), row.tokenizer) if with_tokens else (None, None)
        of_message[row.message_id].append(PARTS[row.type](row.text, *tokens))
    return [_message(row, of_message[row.id]) for row in rows]


async def of_ids(scope: Scope, ids: Iterable[str]) -> dict[str, Message]:
    """Those of the given messages that exist, by id, without token ids."""
    found = await _select(scope, messages.c.id.in_(list(ids)), with_tokens=False)
    return {message.id: message for message in found}


async def find(scope: Scope, message_id: str) -> Message | None:
    """A message with its token ids, or None if the owner has none of this id."""
    found = await _select(scope, messages.c.id == message_id, with_tokens=True)
    return found[0] if found else None


async def get(scope: Scope, message_id: str) -> Message:
    """A message with its token ids.

    Raises:
        NotFound: the owner has none of this id.
    """
    message = await find(scope, message_id)
    if message is None:
        raise NotFound(f"There is no message {message_id}; it may have been deleted.", param="message")
    return message


async def context(scope: Scope, chat_id: str, leaf_id: str, since: str | None = None) -> tuple[chat.Message, ...]:
    """What a model is given: the branch from its root, or from the message ``since``, to ``leaf_id`` with token ids.

    Empty messages are left out. Nothing above ``since`` is read.
    """
    branch = path(scope, chat_id, leaf_id, since)
    statement = (
        scope.select(
            parts, branch.c.id, branch.c.role, parts.c.type, parts.c.text, parts.c.token_ids, parts.c.tokenizer
        )
        .where(parts.c.message_id == branch.c.id, parts.c.text != "")
        .order_by(branch.c.height.desc(), parts.c.position)
    )
    turns: dict[str, chat.Message] = {}
    for row in await scope.all(statement):
        part = PARTS[row.type](row.text, unpack(row.token_ids), row.tokenizer)
        before = turns[row.id].parts if row.id in turns else ()
        turns[row.id] = chat.Message(row.role, (*before, part))
    return tuple(turns.values())


def path(scope: Scope, chat_id: str, leaf_id: str, since: str | None = None) -> CTE:
    """A branch in a statement: (id, parent_id, role, status, height) of ``leaf_id``, height 0, and all above it.

    With ``since`` nothing above that message.
    """
    columns = (messages.c.id, messages.c.parent_id, messages.c.role, messages.c.status)
    leaf = (
        scope.select(messages, *columns, literal(0).label("height"))
        .where(messages.c.chat_id == chat_id, messages.c.id == leaf_id)
        .cte("path", recursive=True)
    )
    above: Select[Any] = scope.select(messages, *columns, leaf.c.height + 1).where(messages.c.id == leaf.c.parent_id)
    return leaf.union_all(above if since is None else above.where(leaf.c.id != since))


async def add(scope: Scope, message: Message) -> None:
    """Append a message to its chat."""
    values = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    del values["parts"]
    values["usage"] = message.usage and dataclasses.asdict(message.usage)
    values["error"] = message.error and dataclasses.asdict(message.error)
    values["parameters"] = message.parameters and dict(message.parameters)
    values["size"] = _size(message.parts)
    await scope.add(messages, values)
    await _add_parts(scope, message.id, message.parts)
    await changes.record(scope, "message", message.id)


async def begin(
    scope: Scope, message_id: str, *, run_id: str, model: str, parameters: Mapping[str, Any] | None = None
) -> None:
    """Mark an answer as being carried on by another run, asked for with ``parameters``."""
    await scope.run(
        scope.update(messages)
        .where(messages.c.id == message_id)
        .values(status="running", run_id=run_id, model=model, usage=None, error=None, parameters=parameters)
    )
    await changes.record(scope, "message", message_id)


async def finish(
    scope: Scope,
    message_id: str,
    *,
    parts_now: Sequence[MessagePart],
    status: MessageStatus,
    usage: Usage | None,
    error: Failure | None,
) -> None:
    """Store what an answer has become when its run is over."""
    await scope.run(scope.delete(parts).where(parts.c.message_id == message_id))
    await _add_parts(scope, message_id, parts_now)
    await scope.run(
        scope.update(messages)
        .where(messages.c.id == message_id)
        .values(
            status=status,
            size=_size(parts_now),
            usage=usage and dataclasses.asdict(usage),
            error=error and dataclasses.asdict(error),
        )
    )
    await changes.record(scope, "message", message_id)


async def set_status(scope: Scope, message_id: str, status: MessageStatus) -> None:
    """Change a message's status."""
    await scope.run(scope.update(messages).where(messages.c.id == message_id).values(status=status))
    await changes.record(scope, "message", message_id)


async def rewrite(scope: Scope, message_id: str, parts_now: Sequence[MessagePart], *, edited_at: int | None) -> None:
    """Replace what a message says."""
    await scope.run(scope.delete(parts).where(parts.c.message_id == message_id))
    await _add_parts(scope, message_id, parts_now)
    now = {"edited_at": edited_at, "size": _size(parts_now)}
    await scope.run(scope.update(messages).where(messages.c.id == message_id).values(now))
    await changes.record(scope, "message", message_id)


async def delete(scope: Scope, message_id: str, *, waiting: bool = False) -> None:
    """Delete one message; its children move to its parent, and the chat's leaf stays on a message there is.

    Raises:
        NotFound: the owner has none of this id.
        Conflict: the message is an answer still being written, or waits and ``waiting`` is not set.
    """
    message = await get(scope, message_id)
    if message.status == "waiting" and not waiting:
        raise Conflict(f"Message {message_id} waits to be sent; take it back by its run instead.")
    is_open = scope.select(runs, runs.c.id).where(
        runs.c.chat_id == message.chat_id, runs.c.message_id == message_id, runs.c.status.in_(OPEN)
    )
    if await scope.first(is_open) is not None:
        raise Conflict(f"Message {message_id} is still being written; stop its run before deleting it.")
    moved = await scope.all(
        scope.update(messages)
        .where(messages.c.chat_id == message.chat_id, messages.c.parent_id == message_id)
        .values(parent_id=message.parent_id)
        .returning(messages.c.id)
    )
    await scope.run(scope.delete(messages).where(messages.c.id == message_id))
    await changes.record(scope, "message_deleted", message_id)
    for child in moved:
        await changes.record(scope, "message", child.id)
    owner_chat = await chats.get(scope, message.chat_id)
    if owner_chat.leaf_id == message_id:
        tops = [child.id for child in moved] or ([message.parent_id] if message.parent_id else [])
        await chats.update(scope, owner_chat.id, leaf_id=await _latest_below(scope, message.chat_id, tops))


async def _latest_below(scope: Scope, chat_id: str, tops: list[str]) -> str | None:
    """The youngest message among ``tops`` and their descendants, of the whole chat if there are no tops.

    It is always a leaf: a message is younger than its parent (`myna.runs.service` sees to it).
    """
    of_this_chat = scope.select(messages, messages.c.id, messages.c.created_at).where(messages.c.chat_id == chat_id)
    if tops:
        below = of_this_chat.where(messages.c.id.in_(tops)).cte("below", recursive=True)
        below = below.union_all(of_this_chat.where(messages.c.parent_id == below.c.id))
        of_this_chat = of_this_chat.where(messages.c.id == below.c.id)
    row = await scope.first(of_this_chat.order_by(messages.c.created_at.desc(), messages.c.id.desc()).limit(1))
    return None if row is None else row.id


def _size(of_message: Sequence[MessagePart]) -> int:
    return sum(len(part.text.encode()) for part in of_message)


async def _add_parts(scope: Scope, message_id: str, of_message: Sequence[MessagePart]) -> None:
    await scope.add(
        parts,
        *(
            {
                "message_id": message_id,
                "position": position,
                "type": part.type,
                "text": part.text,
                "token_ids": pack(part.token_ids),
                "tokenizer": part.tokenizer,
            }
            for position, part in enumerate(of_message)
        ),
    )
    await search.index(scope, message_id, "".join(part.text for part in of_message if isinstance(part, TextPart)))
