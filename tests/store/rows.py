"""Rows to put into a store."""

from __future__ import annotations

import uuid
from itertools import count
from typing import Any

from myna.chat import TextPart
from myna.store import chats, messages, transcripts
from myna.store.keys import Key
from myna.store.records import Chat, Message, Preset, Run
from myna.store.scope import Scope
from myna.store.sessions import Session
from myna.store.users import User

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


def preset(**values: Any) -> Preset:
    return Preset(**{
        "id": new_id(), "name": "Precise", "model": None, "system_prompt": "Be brief.",
        "parameters": {"temperature": 0.1, "stop": ["\n"]}, "is_default": False, "created_at": next(_clock), **values,
    })  # fmt: skip


def user(user_id: str, **values: Any) -> User:
    return User(**{
        "id": user_id, "name": user_id.title(), "name_key": user_id, "password": "$argon2id$", "role": "member",
        "disabled": False, "requests_per_minute": None, "tokens_per_minute": None, "tokens_per_day": None,
        "created_at": next(_clock), "last_seen_at": None, **values,
    })  # fmt: skip


def key(owner: str, number: int = 1, **values: Any) -> Key:
    return Key(**{
        "id": f"key_{number}", "owner": owner, "digest": f"key {owner} {number}".encode(), "prefix": "myna-abc",
        "name": "script", "permission": "all", "requests_per_minute": None, "tokens_per_minute": None,
        "created_at": next(_clock), "last_used_at": None, "expires_at": None, **values,
    })  # fmt: skip


def session(owner: str, number: int = 1, **values: Any) -> Session:
    return Session(**{
        "id": f"session_{number}", "owner": owner, "digest": f"session {owner} {number}".encode(),
        "created_at": next(_clock), "last_used_at": next(_clock), "expires_at": 2**53, "agent": None, "address": None,
        **values,
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


async def messages_of(scope: Scope, chat_id: str) -> list[Message]:
    """Every message of a chat, oldest first, without token ids."""
    ids = [node.id for node in await transcripts.tree(scope, chat_id)]
    found = await messages.of_ids(scope, ids)
    return [found[message_id] for message_id in ids]
