"""Chats, their messages and runs, and the projects that they are in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from myna.server.api.types.base import Answer, Failure
from myna.store.records import Node


class Chat(Answer):
    """A chat."""

    id: str
    title: str | None
    model: str | None
    leaf_id: str | None
    created_at: int
    updated_at: int
    version: int
    titled_by: str
    pinned_at: int | None
    archived_at: int | None
    project_id: str | None
    system_prompt: str | None
    parameters: dict[str, Any] | None


class Project(Answer):
    """A folder of chats with instructions of its own."""

    id: str
    name: str
    instructions: str
    created_at: int
    updated_at: int
    version: int


class TextPart(Answer):
    """Text of a message."""

    type: Literal["text"] = "text"
    text: str


class ReasoningPart(Answer):
    """What the model thought before it answered."""

    type: Literal["reasoning"] = "reasoning"
    text: str


class Usage(Answer):
    """What an answer cost; times in seconds. What was above ``context_from`` did not fit into ``context_tokens``."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    finish_reason: str
    seed: int
    first_token_seconds: float
    decode_seconds: float
    reasoning_seconds: float | None = None
    context_from: str | None = None
    context_tokens: int | None = None


class Message(Answer):
    """A message."""

    id: str
    chat_id: str
    parent_id: str | None
    role: str
    parts: list[Annotated[TextPart | ReasoningPart, Field(discriminator="type")]]
    status: str
    model: str | None
    created_at: int
    run_id: str | None
    usage: Usage | None
    error: Failure | None
    parameters: dict[str, Any] | None
    edited_at: int | None


class Run(Answer):
    """A run."""

    id: str
    chat_id: str
    message_id: str
    model: str
    status: str
    last_event: int
    created_at: int


class ChatList(Answer):
    """Answer to ``GET /api/chats``."""

    chats: list[Chat]
    next: str | None


class OpenedChat(Answer):
    """Answer to ``GET /api/chats/{id}``: ``messages`` are the last ones of the branch, and the open answers.

    The tree is written as it was read: a long chat has thousands of nodes.
    """

    chat: Chat
    tree: list[Node]
    messages: list[Message]
    runs: list[Run]


class Contents(Answer):
    """Answer to ``GET /api/chats/{id}/messages``."""

    messages: list[Message]
    runs: list[Run]


class Created(Answer):
    """Answer to the requests that make a run."""

    chat: Chat
    messages: list[Message]
    run: Run


class Copied(Answer):
    """Answer to ``POST /api/messages/{id}/copy``."""

    chat: Chat
    message: Message
