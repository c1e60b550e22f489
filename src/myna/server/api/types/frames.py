"""What a tab sends over its WebSocket."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from myna.server.api.types.base import Id, Request


class Follow(Request):
    """Follow a run."""

    type: Literal["follow"]
    run: Id
    after: int = Field(ge=0, lt=2**63)


class Unfollow(Request):
    """Follow a run no longer."""

    type: Literal["unfollow"]
    run: Id


class Lists(Request):
    """Follow list changes."""

    type: Literal["lists"]
    after: int = Field(ge=0, lt=2**63)


class Hold(Request):
    """Keep a temporary chat, and follow what changes in it."""

    type: Literal["hold"]
    chat: Id


class Ping(Request):
    """Is the server still there?"""

    type: Literal["ping"]


ClientFrame = Annotated[Follow | Unfollow | Lists | Hold | Ping, Field(discriminator="type")]
