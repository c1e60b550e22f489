"""Rows to put into a store."""

from __future__ import annotations

import uuid
from itertools import count
from typing import Any

from myna.chat import TextPart
from myna.store import chats, messages
from myna.store.records import Chat, Message, Run
from myna.store.scope import Scope

OWNER = "local"
_clock = count(1_000)


def new_id() -> str:
    return str(uuid.uuid4())


def chat(**values: Any) -> Chat:
    at = next(_clock)
    return Chat(**{
        "id": new_id(), "title": None, "model": None, "leaf_id": None, "created_at": at, "updated_at": at, "version": 1,
        **values,
    })  # fmt: skip


def message(chat_id: str, parent_id: str | None = None, text: str = "hello", **values: Any) -> Message:
    return Message(**{
        "id": new_id(), "chat_id": chat_id, "parent_id": parent_id, "role": "user", "parts": (TextPart(text),),
        "status": "complete", "model": None, "created_at": next(_clock), **values,
    })  # fmt: skip


def run(chat_id: str, message_id: str, **values: Any) -> Run:
    return Run(**{
        "id": new_id(), "chat_id": chat_id, "message_id": message_id, "model": "m", "status": "queued",
        "last_event": 0, "created_at": next(_clock), "request": "digest", **values,
    })  # fmt: skip


async def add_chat(scope: Scope, *texts: str) -> tuple[Chat, list[Message]]:
    """A chat of one branch."""
    made = chat()
    await chats.create(scope, made)
    branch: list[Message] = []
    for text in texts:
        branch.append(message(made.id, branch[-1].id if branch else None, text))
        await messages.add(scope, branch[-1])
    if branch:
        made = await chats.update(scope, made.id, leaf_id=branch[-1].id)
    return made, branch
