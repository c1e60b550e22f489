"""A model's answer as it comes -> what is said and what was thought before it, each with the tokens it was made of."""

from __future__ import annotations

import time
from collections.abc import Sequence

from myna.models.dialects.answer import PLAIN_ANSWER, AnswerEvent, AnswerParser, AnswerSyntax, Reasoning, Text
from myna.store.records import TextEvent


class Reader:
    """Reads one answer.

    Args:
        syntax: how its text is to be read.
        begun: what it has already, marks included; nothing of that is told again.
    """

    def __init__(self, syntax: AnswerSyntax, begun: str = "") -> None:
        self._parser = None if syntax == PLAIN_ANSWER else AnswerParser(syntax)
        self._thinking = False
        self._held: tuple[int, ...] = ()  # tokens whose text is not told yet
        self._began: float | None = None
        self._ended: float | None = None
        if self._parser is not None and begun:
            said = self._parser.feed(begun)
            self._thinking = bool(said) and isinstance(said[-1], Reasoning)

    @property
    def reasoning_seconds(self) -> float | None:
        """How long the model has thought, if it has, from the first token of the thought on."""
        if self._began is None:
            return None
        return (self._ended or time.perf_counter()) - self._began

    def feed(self, text: str, token_ids: tuple[int, ...]) -> list[TextEvent]:
        """What some text and its tokens add."""
        if self._parser is None:
            return [TextEvent(text, token_ids)]
        return self._tell(self._parser.feed(text), token_ids)

    def finish(self) -> list[TextEvent]:
        """The rest, when no more comes."""
        if self._parser is None:
            return []
        events = self._tell(self._parser.finish(), ())
        if self._held:
            events.append(TextEvent("", self._held, self._thinking))
        return events

    def _tell(self, said: Sequence[AnswerEvent], token_ids: tuple[int, ...]) -> list[TextEvent]:
        """Tokens go with the text that they release; those of a thought's end mark are the thought's."""
        self._held += token_ids
        events: list[TextEvent] = []
        for each in said:
            if not isinstance(each, Text | Reasoning):
                continue
            reasoning = isinstance(each, Reasoning)
            if self._thinking and not reasoning and len(self._held) > len(token_ids):
                marks = len(self._held) - len(token_ids)
                events.append(TextEvent("", self._held[:marks], reasoning=True))
                self._held = self._held[marks:]
            self._note(reasoning)
            events.append(TextEvent(each.text, self._held, reasoning))
            self._held = ()
        return events

    def _note(self, reasoning: bool) -> None:
        now = time.perf_counter()
        if reasoning and self._began is None:
            self._began = now
        if not reasoning and self._began is not None and self._ended is None:
            self._ended = now
        self._thinking = reasoning
