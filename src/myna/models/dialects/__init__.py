"""How a model is talked to: its chat template, or a named format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from myna.chat import Message, Tool
from myna.models.dialects.answer import AnswerSyntax


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids of a prompt that ends where the model is to speak, and how its answer is to be read."""

    token_ids: list[int]
    syntax: AnswerSyntax


class Dialect(Protocol):
    """Conversations -> prompts. May be used by many threads at once.

    An answer ends at any of ``stop_token_ids``, or where one of ``stop_strings`` begins.
    """

    stop_token_ids: frozenset[int]
    stop_strings: tuple[str, ...]

    def prompt(
        self,
        messages: Sequence[Message],
        *,
        continue_last: bool = False,
        tools: Sequence[Tool] = (),
        must_call: bool = False,
        effort: str | None = None,
    ) -> Prompt:
        """The prompt for a conversation.

        Args:
            messages: what was said.
            continue_last: the last message is the assistant's own unfinished answer, left open to be carried on.
            tools: what may be called.
            must_call: the answer has to be calls, made without a thought before them where that can be chosen.
            effort: how much to think; "none" is not at all, "on" as much as the model does by itself.

        Raises:
            InvalidParameter: there are no messages, the template refuses this conversation, or the model cannot be
                told how much to think.
            ModelFileError: the template is broken.
        """

    def encode(self, messages: Sequence[Message], *, continue_last: bool = False) -> list[int]:
        """Token ids of the prompt for a conversation in which nothing can be called; see `prompt`."""

    def close(self) -> None:
        """End the template's process, if it has one."""
