"""The fallback for models that were never taught to chat: a transcript, and stop strings to end an answer."""

from __future__ import annotations

from collections.abc import Sequence

from myna.chat import Message
from myna.errors import InvalidParameter
from myna.models.prompting import Generated, Said, Segment, Written, encode_segments, message_segments
from myna.models.tokenizer import Tokenizer

SPEAKERS = {"user": "User:", "assistant": "Assistant:"}


class PlainDialect:
    """``User: …`` and ``Assistant: …``, a line each; a system message stands before them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.stop_token_ids = tokenizer.stop_token_ids
        self.stop_strings: tuple[str, ...] = ("\nUser:", "\nAssistant:")
        self._tokenizer = tokenizer

    def encode(self, messages: Sequence[Message], *, continue_last: bool = False) -> list[int]:
        """See `Dialect.encode`."""
        check_messages(messages, continue_last)
        segments: list[Segment] = []
        for message in messages:
            if message.role == "system":
                segments += [*message_segments(self._tokenizer, message), Written("\n\n")]
            else:
                segments += [Written(SPEAKERS[message.role]), *self._spaced(message), Written("\n")]
        if continue_last:
            segments.pop()
        else:
            segments.append(Written(SPEAKERS["assistant"]))
        ids = encode_segments(self._tokenizer, segments)
        bos_id = self._tokenizer.bos_id
        return [bos_id, *ids] if self._tokenizer.adds_bos and bos_id is not None else ids

    def close(self) -> None:
        """Nothing to end."""

    def _spaced(self, message: Message) -> list[Segment]:
        """The message after a space; what the model generated has its own."""
        segments = message_segments(self._tokenizer, message)
        if segments and not isinstance(segments[0], Generated) and not message.text.startswith(" "):
            return [Said(" "), *segments]
        return segments


def check_messages(messages: Sequence[Message], continue_last: bool) -> None:
    """Raise InvalidParameter when there is nothing to answer, or nothing of the assistant's to continue."""
    if not messages:
        raise InvalidParameter("messages is empty; a chat needs at least one message.", param="messages")
    if continue_last and messages[-1].role != "assistant":
        raise InvalidParameter(
            f"The last message is the {messages[-1].role}'s; only an assistant's message can be continued.",
            param="messages",
        )
