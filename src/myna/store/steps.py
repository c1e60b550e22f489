"""A branch from its end upwards, told by sizes: how much of it a model can be given is decided before it is read."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, case, cast, func, literal, select

from myna.store.scope import Scope
from myna.store.sizes import size
from myna.store.tables.chats import messages, parts

TOKEN_BYTES = 4
"""Of a token id as it is stored."""
TEXT_PER_TOKEN = 3
"""Text of which no tokens are known is taken to have one for so much: rather too many than too few, for most."""
OF_A_TURN = 8
"""Tokens that a template writes around a message, about."""


@dataclass(frozen=True, slots=True)
class Step:
    """A message of a branch. ``tokens``: those that are known for the vocabulary, else about as many as its text has.

    ``context_from`` and ``context_tokens`` are as in `myna.store.records.Usage`, where it has any.
    """

    id: str
    parent_id: str | None
    role: str
    tokens: int
    context_from: str | None
    context_tokens: int | None


async def climb(scope: Scope, chat_id: str, leaf_id: str, count: int, tokenizer: str, room: int) -> list[Step]:
    """The end of the branch that ends in ``leaf_id``, the nearest first, in one query.

    It has at most ``count`` messages, and none above the one with which there are more than ``room`` tokens: where
    SQLite has to read a text to tell its size, a long branch would cost as much as if it were given.
    """
    known = func.length(parts.c.token_ids, type_=Integer) / TOKEN_BYTES
    guessed = size(parts.c.text) / TEXT_PER_TOKEN + 1
    of_parts = (
        scope.select(parts, func.coalesce(func.sum(case((parts.c.tokenizer == tokenizer, known), else_=guessed)), 0))
        .where(parts.c.message_id == messages.c.id)
        .correlate(messages)
        .scalar_subquery()
    )
    tokens = cast(of_parts, BigInteger)
    columns = (messages.c.id, messages.c.parent_id, messages.c.role, messages.c.usage, tokens.label("tokens"))
    nothing = cast(literal(0), BigInteger)
    here = (messages.c.chat_id == chat_id, messages.c.id == leaf_id)
    leaf = scope.select(messages, *columns, literal(0).label("height"), nothing.label("below"))
    path = leaf.where(*here).cte("path", recursive=True)
    taken = path.c.below + path.c.tokens + OF_A_TURN
    path = path.union_all(
        scope.select(messages, *columns, path.c.height + 1, taken).where(
            messages.c.id == path.c.parent_id, path.c.height < count - 1, taken <= room
        )
    )
    return [
        Step(
            row.id,
            row.parent_id,
            row.role,
            int(row.tokens),
            (row.usage or {}).get("context_from"),
            (row.usage or {}).get("context_tokens"),
        )
        for row in await scope.all(select(path).order_by(path.c.height))
    ]
