"""A model's answer in Ollama's pieces: text, thoughts, and calls, each as soon as it is whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from myna.models.dialects.answer import AnswerEvent, CallArguments, CallBegun, ObjectScanner, Reasoning, Text


@dataclass(slots=True)
class Piece:
    """What came at once."""

    text: str = ""
    thought: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.text or self.thought or self.calls)

    @property
    def extras(self) -> dict[str, Any]:
        """What stands beside the text, if there is any."""
        return ({"thinking": self.thought} if self.thought else {}) | ({"tool_calls": self.calls} if self.calls else {})


class Pieces:
    """Puts one answer's calls together.

    Arguments are objects here, so those that a model wrote wrong or that were cut cannot be a call's: they are text, as
    all is that the original cannot read.
    """

    def __init__(self) -> None:
        self._begun: CallBegun | None = None
        self._arguments: list[str] = []
        self._scanner = ObjectScanner()

    def take(self, said: Sequence[AnswerEvent], *, is_last: bool = False) -> Piece:
        """What of an answer is ready to be told; with the last events, all that is left."""
        piece = Piece()
        for event in said:
            match event:
                case Text(text):
                    self._close(piece)
                    piece.text += text
                case Reasoning(text):
                    piece.thought += text
                case CallBegun():
                    self._close(piece)
                    self._begun, self._arguments, self._scanner = event, [], ObjectScanner()
                case CallArguments(_, text):
                    self._arguments.append(text)
                    if self._scanner.push(text) is not None:
                        self._close(piece)
        if is_last:
            self._close(piece)
        return piece

    def _close(self, piece: Piece) -> None:
        begun, self._begun = self._begun, None
        if begun is None:
            return
        written = "".join(self._arguments)
        try:
            arguments = json.loads(written)
        except (ValueError, RecursionError):
            arguments = None
        if isinstance(arguments, dict):
            function = {"index": begun.index, "name": begun.name, "arguments": arguments}
            piece.calls.append({"id": begun.id, "function": function})
        else:
            piece.text += f'{{"name": {json.dumps(begun.name)}, "arguments": {written}'
