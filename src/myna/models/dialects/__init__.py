"""How a model is talked to: its chat template, or a named format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from myna.chat import Message


class Dialect(Protocol):
    """Conversations -> prompts. May be used by many threads at once.

    An answer ends at any of ``stop_token_ids``, or where one of ``stop_strings`` begins.
    """

    stop_token_ids: frozenset[int]
    stop_strings: tuple[str, ...]

    def encode(self, messages: Sequence[Message], *, continue_last: bool = False) -> list[int]:
        """Token ids of a prompt that ends where the model is to speak.

        ``continue_last``: the last message is the assistant's own unfinished answer, left open to be carried on.

        Raises:
            InvalidParameter: there are no messages, or the template refuses this conversation.
            ModelFileError: the template is broken.
        """

    def close(self) -> None:
        """End the template's process, if it has one."""
