"""Rows as the rest of the program sees them. Times are Unix milliseconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from myna.chat import ReasoningPart, Role, TextPart

MessageStatus = Literal["waiting", "complete", "running", "interrupted", "stopped", "failed"]
TitledBy = Literal["text", "model", "user"]
"""Whose words a chat's title is: the beginning of its first message, a model's, or its user's."""
EndStatus = Literal["complete", "interrupted", "stopped", "failed"]
RunStatus = Literal["waiting", "queued", "running", "complete", "interrupted", "stopped", "failed"]
MessagePart = TextPart | ReasoningPart
ChangeKind = Literal[
    "chat", "chat_deleted", "message", "message_deleted", "run", "project", "project_deleted", "preferences"
]

OPEN: tuple[RunStatus, ...] = ("queued", "running")
"""A run that waits for the end of another is none of these: nothing works at it (see `myna.runs.queue`)."""


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Project:
    """A folder of chats. ``instructions`` go before each of them; ``version`` counts the changes of this row."""

    id: str
    name: str
    instructions: str
    created_at: int
    updated_at: int
    version: int


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation. ``version`` counts the changes of this row; ``leaf_id`` ends the branch shown last.

    ``parameters``: what its runs are asked with where they bring none of their own. ``system_prompt``: None for what is
    recommended for the model, empty for none.
    """

    id: str
    title: str | None
    model: str | None
    leaf_id: str | None
    created_at: int
    updated_at: int
    version: int
    titled_by: TitledBy = "text"
    pinned_at: int | None = None
    archived_at: int | None = None
    project_id: str | None = None
    system_prompt: str | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """Parameters and a system prompt under a name; ``is_default``: new chats begin with it."""

    id: str
    name: str
    model: str | None
    system_prompt: str | None
    parameters: Mapping[str, Any]
    is_default: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """That a user has read a licence, first for ``model``."""

    licence: str
    model: str
    at: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens that a model has written lately, and the seconds this took."""

    model: str
    tokens: float
    seconds: float
    at: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost; times are seconds, those of thinking if the model thought.

    ``context_from``: the message with which the prompt began, because what was above it did not fit into the model's
    context of ``context_tokens``; None for the whole branch.
    """

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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an answer failed: ``code`` of the leaf of `myna.errors`, and its message."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Message:
    """A node of a chat's tree. Of an open run, ``parts`` are those before the run; its events add to them.

    ``parameters``: what an answer was asked for with, the defaults of that time included. ``edited_at``: when its text
    was last changed in place; None for text as it was sent or generated.
    """

    id: str
    chat_id: str
    parent_id: str | None
    role: Role
    parts: tuple[MessagePart, ...]
    status: MessageStatus
    model: str | None
    created_at: int
    run_id: str | None = None
    usage: Usage | None = None
    error: Failure | None = None
    parameters: Mapping[str, Any] | None = field(default=None, hash=False)
    edited_at: int | None = None

    @property
    def text(self) -> str:
        """All text parts, joined without separator: what was thought is none of it."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Node:
    """A message's place in its tree, without its text. ``size``: bytes of that text."""

    id: str
    parent_id: str | None
    role: Role
    status: MessageStatus
    model: str | None
    created_at: int
    edited_at: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Run:
    """An answer in the making, or the record of one. ``last_event`` is the number of its last event, 0 for none."""

    id: str
    chat_id: str
    message_id: str
    model: str
    status: RunStatus
    last_event: int
    created_at: int
    request: str
    server: int | None = None
    """Number of the process that writes it, among those that share a database."""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class StartedEvent:
    """The prompt is processed and the answer begins. ``tokenizer``: vocabulary of the token ids that follow."""

    prompt_tokens: int
    cached_tokens: int
    seed: int
    tokenizer: str


@dataclass(frozen=True, slots=True)
class TextEvent:
    """Text to append to the answer, or to what was thought before it, and the tokens it was made of."""

    text: str
    token_ids: tuple[int, ...]
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class EndEvent:
    """Nothing follows."""

    status: EndStatus
    usage: Usage | None
    error: Failure | None


RunEvent = StartedEvent | TextEvent | EndEvent


@dataclass(frozen=True, slots=True)
class Change:
    """Something in an owner's lists changed; what it is now is read when it is sent."""

    cursor: int
    kind: ChangeKind
    id: str
