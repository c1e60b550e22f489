"""A model's answer as Anthropic's content blocks: text, thinking and uses of tools, whole and as they come."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from myna.engine.request import Delta, Finished, Started
from myna.models.dialects.answer import AnswerEvent, AnswerParser, CallArguments, CallBegun, Reasoning, Text

_FIELDS = {"text": "text", "thinking": "thinking"}
"""What holds the text of a block of that type."""


class Blocks:
    """What has arrived of one answer.

    Args:
        names: the tools that may be used.
        parallel: whether several uses are wanted.
    """

    def __init__(self, names: Collection[str], *, parallel: bool) -> None:
        self.content: list[dict[str, Any]] = []
        self._names = names
        self._parallel = parallel
        self._parser: AnswerParser | None = None
        self._pieces: list[str] = []
        self._is_open = False

    @property
    def has_uses(self) -> bool:
        """Whether a tool is to be used."""
        return any(block["type"] == "tool_use" for block in self.content)

    def take(self, event: Started | Delta | Finished) -> list[dict[str, Any]]:
        """Note an event of the engine; the events of a stream that it makes."""
        if isinstance(event, Started):
            self._parser = AnswerParser(event.syntax, self._names, parallel=self._parallel)
            return []
        assert self._parser is not None
        if isinstance(event, Delta):
            return [made for said in self._parser.feed(event.text) for made in self._say(said)]
        return [made for said in self._parser.finish() for made in self._say(said)] + self._close()

    def _say(self, said: AnswerEvent) -> list[dict[str, Any]]:
        match said:
            case Text(text):
                return [*self._enter({"type": "text", "text": ""}), self._add(text, "text_delta", "text")]
            case Reasoning(text):
                block = {"type": "thinking", "thinking": "", "signature": ""}
                return [*self._enter(block), self._add(text, "thinking_delta", "thinking")]
            case CallBegun(_, call_id, name):
                return self._open({"type": "tool_use", "id": call_id, "name": name, "input": {}})
            case CallArguments(_, text):
                return [self._add(text, "input_json_delta", "partial_json")]

    def _enter(self, block: dict[str, Any]) -> list[dict[str, Any]]:
        """Go on with the last block where it is of this type, else begin this one."""
        is_same = self._is_open and self.content[-1]["type"] == block["type"]
        return [] if is_same else self._open(block)

    def _open(self, block: dict[str, Any]) -> list[dict[str, Any]]:
        closed = self._close()
        index = len(self.content)
        self.content.append(block)
        self._is_open = True
        return [*closed, {"type": "content_block_start", "index": index, "content_block": dict(block)}]

    def _add(self, text: str, kind: str, field: str) -> dict[str, Any]:
        self._pieces.append(text)
        index = len(self.content) - 1
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}}

    def _close(self) -> list[dict[str, Any]]:
        if not self._is_open:
            return []
        block, text = self.content[-1], "".join(self._pieces)
        self._pieces.clear()
        self._is_open = False
        if block["type"] == "tool_use":
            block["input"] = _input(text)
        else:
            block[_FIELDS[block["type"]]] = text
        return [{"type": "content_block_stop", "index": len(self.content) - 1}]


def _input(arguments: str) -> dict[str, Any]:
    """Arguments as data; those that a model wrote wrong go where Anthropic's documentation puts such text."""
    try:
        value = json.loads(arguments)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}
