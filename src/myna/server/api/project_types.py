"""What crosses the wire where chats are put in order and found: projects, changes of many chats at once, search."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from myna.server.api.account_types import MAX_INSTRUCTIONS
from myna.server.api.types import Answer, Chat, Id, Project, Request, storable, without_null

MAX_BULK = 5_000
"""Chats named in one request."""


Name = Annotated[str, Field(max_length=100), AfterValidator(storable)]
Instructions = Annotated[str, Field(max_length=MAX_INSTRUCTIONS), AfterValidator(without_null)]


class NewProject(Request):
    """Body of ``POST /api/projects``."""

    id: Id
    name: Name
    instructions: Instructions = ""


class ProjectPatch(Request):
    """Body of ``PATCH /api/projects/{id}``: what is absent stays."""

    name: Name = ""
    instructions: Instructions = ""


class Bulk(Request):
    """Body of ``POST /api/chats/bulk``: what to do with the chats of ``ids``, or with ``all`` of a list."""

    action: Literal["archive", "unarchive", "pin", "unpin", "move", "delete"]
    ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_BULK)] | None = None
    all: Literal["listed", "archived", "every"] | None = None
    project_id: Id | None = None

    @model_validator(mode="after")
    def is_clear(self) -> Bulk:
        if (self.ids is None) == (self.all is None):
            raise ValueError("give either ids or all")
        if (self.action == "move") != ("project_id" in self.model_fields_set):
            raise ValueError("project_id says where to move, null out of every project; no other action takes it")
        return self


class BulkDone(Answer):
    """Answer to it: the chats that this changed, and those of ``ids`` that there are not."""

    changed: list[str]
    missing: list[str]


class ProjectList(Answer):
    """Answer to ``GET /api/projects``."""

    projects: list[Project]


class Segment(Answer):
    """A piece of text; ``hit``: what was searched for."""

    text: str
    hit: bool


class FoundTitle(Answer):
    """A chat whose title has what was searched for."""

    chat: Chat
    snippet: list[Segment]


class FoundMessage(Answer):
    """A message that has what was searched for, and the part of it that does."""

    chat: Chat
    message_id: str
    role: str
    created_at: int
    snippet: list[Segment]


class Found(Answer):
    """Answer to ``GET /api/search``."""

    titles: list[FoundTitle]
    messages: list[FoundMessage]
    next: int | None
