"""A conversation as data: messages and their ordered parts, and the tools that may be called. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


class Part:
    """Base of all parts. ``type`` names the kind where a part is plain data, as between processes."""

    __slots__ = ()

    type: str


@dataclass(frozen=True, slots=True)
class TextPart(Part):
    """Plain text: what a person typed or a model wrote. Never parsed for control tokens.

    ``token_ids`` are the tokens that the model generated for this text, if it did: the next turn
    feeds them back as they were, so that it hits the prefix cache instead of re-tokenising.
    ``tokenizer`` is the fingerprint of the vocabulary that the ids belong to; with any other
    tokenizer they are ignored and the text counts.
    """

    text: str
    token_ids: tuple[int, ...] | None = None
    tokenizer: str | None = None
    type: str = field(default="text", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class ReasoningPart(Part):
    """What a model thought before it answered; ``token_ids`` and ``tokenizer`` as in `TextPart`, with the marks."""

    text: str
    token_ids: tuple[int, ...] | None = None
    tokenizer: str | None = None
    type: str = field(default="reasoning", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class ToolCallPart(Part):
    """A model asks for a tool. ``arguments`` is JSON as the model wrote it, which may not be valid."""

    id: str
    name: str
    arguments: str
    type: str = field(default="tool_call", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class ToolResultPart(Part):
    """What the tool of the call ``call_id`` gave."""

    call_id: str
    text: str
    type: str = field(default="tool_result", init=False, repr=False)


PARTS: dict[str, type[Part]] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
}
"""Every kind of part by its ``type``."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: who speaks, and ordered parts."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All that is said, or that a tool gave, joined without separator."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart | ToolResultPart))

    @property
    def reasoning(self) -> str:
        """All that was thought."""
        return "".join(part.text for part in self.parts if isinstance(part, ReasoningPart))

    @property
    def calls(self) -> tuple[ToolCallPart, ...]:
        """The tools that are asked for, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """A message of one text part."""
        return cls(role, (TextPart(text),))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call. ``parameters`` is the JSON schema of its arguments, None for none.

    ``strict``: a call's arguments always fulfil the schema.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool = False
