"""What every dialect asks of a conversation."""

from __future__ import annotations

from collections.abc import Sequence

from myna.chat import Message
from myna.errors import InvalidParameter


def check_messages(messages: Sequence[Message], continue_last: bool) -> None:
    """Raise InvalidParameter when there is nothing to answer, or nothing of the assistant's to continue."""
    if not messages:
        raise InvalidParameter("messages is empty; a chat needs at least one message.", param="messages")
    if continue_last and messages[-1].role != "assistant":
        raise InvalidParameter(
            f"The last message is the {messages[-1].role}'s; only an assistant's message can be continued.",
            param="messages",
        )


def check_effort(effort: str | None) -> None:
    """Raise InvalidParameter where a model that has no such choice is told how much to think."""
    if effort not in (None, "none"):
        raise InvalidParameter(
            f"This model cannot be told how much to think; leave 'reasoning_effort' ({effort}) out.",
            param="reasoning_effort",
        )
