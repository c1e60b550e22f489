"""A conversation as data: messages and their ordered parts. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text: what a person typed or a model wrote. Never parsed for control tokens.

    ``token_ids`` are the tokens that the model generated for this text, if it did: the next turn
    feeds them back as they were, so that it hits the prefix cache instead of re-tokenising.
    ``tokenizer`` is the fingerprint of the vocabulary that the ids belong to; with any other
    tokenizer they are ignored and the text counts.
    """

    text: str
    token_ids: tuple[int, ...] | None = None
    tokenizer: str | None = None


Part = TextPart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: who speaks, and ordered parts."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All text parts, joined without separator."""
        return "".join(part.text for part in self.parts)

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """A message of one text part."""
        return cls(role, (TextPart(text),))
