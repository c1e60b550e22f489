"""Conversations: a list of items that responses read and add to, in an order that no two writers can disagree about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from myna.errors import InvalidParameter, NotFound
from myna.store.pages import Page, PageRequest, check_size, page
from myna.store.records import now
from myna.store.scope import Scope
from myna.store.tables.conversations import conversation_items, conversations

Item = dict[str, Any]
"""An item as the API shows it, with its ``id`` and ``type``."""

COLUMNS = [conversations.c.id, conversations.c.created_at, conversations.c.metadata]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its items; ``created_at`` is in Unix milliseconds."""

    id: str
    created_at: int
    metadata: dict[str, str]


async def get(scope: Scope, conversation_id: str) -> Conversation:
    """A conversation.

    Raises:
        NotFound: the owner has none of this id.
    """
    return _found(
        await scope.first(scope.select(conversations, *COLUMNS).where(conversations.c.id == conversation_id)),
        conversation_id,
    )


async def create(
    scope: Scope, conversation_id: str, metadata: dict[str, str], items: Sequence[Item] = ()
) -> Conversation:
    """A new conversation that begins with the given items.

    Raises:
        InvalidParameter: two items have one id.
    """
    made = Conversation(conversation_id, now(), metadata)
    await scope.add(
        conversations,
        {"id": made.id, "created_at": made.created_at, "metadata": metadata, "next_position": 0},
    )
    await append(scope, conversation_id, items)
    return made


async def update(scope: Scope, conversation_id: str, metadata: dict[str, str]) -> Conversation:
    """Replace a conversation's metadata.

    Raises:
        NotFound: the owner has none of this id.
    """
    return _found(
        await scope.first(
            scope.update(conversations)
            .where(conversations.c.id == conversation_id)
            .values(metadata=metadata)
            .returning(*COLUMNS)
        ),
        conversation_id,
    )


async def delete(scope: Scope, conversation_id: str) -> None:
    """Delete a conversation with its items.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(conversations).where(conversations.c.id == conversation_id)):
        raise _missing(conversation_id)


async def append(scope: Scope, conversation_id: str, items: Sequence[Item]) -> None:
    """Add items at the end, all or none.

    Positions are taken from the conversation's own row, which this changes first: writers queue for it, so items that
    are added together stay together, whoever else adds at the same time.

    Raises:
        NotFound: the owner has no conversation of this id.
        InvalidParameter: an item's id is another's already.
    """
    row = await scope.first(
        scope.update(conversations)
        .where(conversations.c.id == conversation_id)
        .values(next_position=conversations.c.next_position + len(items))
        .returning(conversations.c.next_position)
    )
    if row is None:
        raise _missing(conversation_id)
    await _check_ids(scope, conversation_id, [item["id"] for item in items])
    first = row.next_position - len(items)
    await scope.add(
        conversation_items,
        *(
            {"conversation_id": conversation_id, "position": first + index, "id": item["id"], "item": item}
            for index, item in enumerate(items)
        ),
    )


async def items(scope: Scope, conversation_id: str, wanted: PageRequest) -> Page[Item]:
    """A part of a conversation's items.

    Raises:
        NotFound: the owner has no conversation of this id.
        InvalidParameter: it has no item ``wanted.after``.
    """
    await get(scope, conversation_id)
    after = None
    if wanted.after is not None:
        row = await _item(scope, conversation_id, wanted.after)
        if row is None:
            raise InvalidParameter(f"'after' {wanted.after} is no item of the conversation.", param="after")
        after = row.position
    columns = conversation_items.c
    statement = scope.select(conversation_items, columns.item).where(columns.conversation_id == conversation_id)
    return await page(
        scope, statement, columns.position, wanted, lambda row: row.item, after=after, holding=columns.item
    )


async def history(scope: Scope, conversation_id: str) -> list[Item]:
    """All items of a conversation, oldest first.

    Raises:
        NotFound: the owner has no conversation of this id.
        InvalidParameter: they hold more than is read at once.
    """
    await get(scope, conversation_id)
    column = conversation_items.c.item
    statement = scope.select(conversation_items, column).where(conversation_items.c.conversation_id == conversation_id)
    await check_size(scope, statement, column, f"The conversation {conversation_id}", "conversation")
    rows = await scope.all(statement.order_by(conversation_items.c.position))
    return [row.item for row in rows]


async def item(scope: Scope, conversation_id: str, item_id: str) -> Item:
    """One item.

    Raises:
        NotFound: the owner has no such conversation, or it has no such item.
    """
    row = await _item(scope, conversation_id, item_id)
    if row is None:
        await get(scope, conversation_id)
        raise _missing_item(item_id)
    found: Item = row.item
    return found


async def delete_item(scope: Scope, conversation_id: str, item_id: str) -> Conversation:
    """Delete one item; the conversation that had it.

    Raises:
        NotFound: the owner has no such conversation, or it has no such item.
    """
    found = await get(scope, conversation_id)
    statement = scope.delete(conversation_items).where(
        conversation_items.c.conversation_id == conversation_id, conversation_items.c.id == item_id
    )
    if not await scope.run(statement):
        raise _missing_item(item_id)
    return found


async def _item(scope: Scope, conversation_id: str, item_id: str) -> Row[Any] | None:
    return await scope.first(
        scope.select(conversation_items).where(
            conversation_items.c.conversation_id == conversation_id, conversation_items.c.id == item_id
        )
    )


async def _check_ids(scope: Scope, conversation_id: str, ids: Sequence[str]) -> None:
    taken = await scope.all(
        scope.select(conversation_items, conversation_items.c.id).where(
            conversation_items.c.conversation_id == conversation_id, conversation_items.c.id.in_(ids)
        )
    )
    known = {row.id for row in taken}
    for index, item_id in enumerate(ids):
        if item_id in known:
            raise InvalidParameter(
                f"'items[{index}].id' {item_id} is the id of another item of this conversation already; leave out "
                "items that it has.",
                param=f"items[{index}].id",
            )
        known.add(item_id)


def _found(row: Row[Any] | None, conversation_id: str) -> Conversation:
    if row is None:
        raise _missing(conversation_id)
    return Conversation(**row._mapping)


def _missing(conversation_id: str) -> NotFound:
    return NotFound(f"There is no conversation {conversation_id}; it may have been deleted.", param="conversation")


def _missing_item(item_id: str) -> NotFound:
    return NotFound(f"The conversation has no item {item_id}; it may have been deleted.", param="item")
