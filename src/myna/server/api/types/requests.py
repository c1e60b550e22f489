"""What a page asks for in chats."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from myna.engine.limits import MAX_STOP_STRINGS
from myna.server.api.types.base import Id, ModelName, Request, StopString, SystemPrompt, Text, Title


class Parameters(Request):
    """How a run is sampled, and how the model is talked to; what is absent has the application's default.

    ``thinking`` is for models that can be told whether to think first.
    """

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1_000_000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: list[StopString] | None = Field(default=None, max_length=MAX_STOP_STRINGS)
    thinking: bool | None = None
    dialect: ModelName | None = None
    adapter: ModelName | None = None


def given(parameters: Parameters | None) -> dict[str, Any] | None:
    """Those parameters that say something; None where there are none at all."""
    return None if parameters is None else parameters.model_dump(exclude_none=True)


class NewMessage(Request):
    """A user's message."""

    id: Id
    parent_id: Id | None
    text: Text


class NewRun(Request):
    """The run that answers it. Where it has no parameters or no system prompt, the chat's count."""

    id: Id
    message_id: Id
    model: ModelName | None = None
    parameters: Parameters | None = None
    system_prompt: SystemPrompt | None = None


class NewChat(Request):
    """What a chat is made with by its first message. ``temporary``: in memory alone; it is so, or is refused."""

    system_prompt: SystemPrompt | None = None
    parameters: Parameters | None = None
    project_id: Id | None = None
    temporary: bool = False


class SendRequest(Request):
    """Body of ``POST /api/chats/{id}/messages``."""

    message: NewMessage
    run: NewRun
    chat: NewChat = NewChat()


class ContinueFrom(Request):
    """A token of an answer, counted from 0, and the id of the token that is to stand there instead."""

    message_id: Id
    token: int = Field(ge=0, lt=2**31)
    alternative: int = Field(ge=0, lt=2**31)


class RunRequest(Request):
    """Body of ``POST /api/chats/{id}/runs``: answer a user's message once more, carry on or vary an answer."""

    id: Id
    message_id: Id | None = None
    parent_id: Id | None = None
    model: ModelName | None = None
    parameters: Parameters | None = None
    system_prompt: SystemPrompt | None = None
    carry_on: Id | None = Field(default=None, alias="continue")
    continue_from: ContinueFrom | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> RunRequest:
        if self.continue_from is not None:
            if self.message_id is None or self.model_fields_set - {"id", "message_id", "continue_from", "parameters"}:
                raise ValueError("continue_from takes id, message_id and parameters beside it, and no other fields")
        elif self.carry_on is None:
            if self.message_id is None or self.parent_id is None:
                raise ValueError("give message_id and parent_id to answer again, or continue to carry an answer on")
        elif self.model_fields_set - {"id", "carry_on", "parameters"}:
            raise ValueError("continue takes no other fields than id and parameters")
        return self


class TextPatch(Request):
    """Body of ``PATCH /api/messages/{id}``; ``edited_at`` is the message's own as the client knows it."""

    text: Text
    edited_at: int | None = Field(default=None, ge=0, lt=2**53)
    overwrite: bool = False


class NewCopy(Request):
    """Body of ``POST /api/messages/{id}/copy``."""

    id: Id
    text: Text


class Fork(Request):
    """Body of ``POST /api/chats/{id}/fork``; ``id`` and ``title`` are the new chat's."""

    id: Id
    message_id: Id
    title: Title | None = None


class WaitingPatch(Request):
    """Body of ``PATCH /api/runs/{id}``."""

    text: Text


class ChatPatch(Request):
    """Body of ``PATCH /api/chats/{id}``: what is absent stays."""

    title: Title = ""
    model: ModelName = ""
    leaf_id: Id = ""
    pinned: bool = False
    archived: bool = False
    project_id: Id | None = None
    system_prompt: SystemPrompt | None = None
    parameters: Parameters | None = None
