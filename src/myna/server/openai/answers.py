"""A model's answer in OpenAI's shape: text, reasoning and tool calls, as a message and as the deltas of a stream."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from myna.engine.request import Delta, Finished, Started, TokenLogprob
from myna.models.dialects.answer import (
    PLAIN_ANSWER,
    AnswerEvent,
    AnswerParser,
    CallArguments,
    CallBegun,
    Reasoning,
    Text,
)
from myna.server.openai.generation import finish_reason
from myna.server.openai.logprobs import chat_logprobs


@dataclass(slots=True)
class Choice:
    """What has arrived of one answer to a conversation.

    ``names`` are the tools that may be called, ``parallel`` whether several calls are wanted.
    """

    names: Collection[str] = ()
    parallel: bool = True
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[TokenLogprob] | None = None
    started: Started | None = None
    finished: Finished | None = None
    _arguments: list[list[str]] = field(default_factory=list)
    _parser: AnswerParser | None = None

    def take(self, event: Started | Delta | Finished) -> list[AnswerEvent]:
        """Note an event; what it says."""
        said: list[AnswerEvent] = []
        match event:
            case Started():
                self.started = event
                if event.syntax != PLAIN_ANSWER:
                    self._parser = AnswerParser(event.syntax, self.names, parallel=self.parallel)
            case Delta():
                if self._parser is not None:
                    said = self._parser.feed(event.text)
                elif event.text:
                    said = [Text(event.text)]
                if event.logprobs is not None:
                    self.logprobs = [*(self.logprobs or ()), *event.logprobs]
            case Finished():
                self.finished = event
                said = [] if self._parser is None else self._parser.finish()
        for each in said:
            self._note(each)
        return said

    @property
    def finish_reason(self) -> str | None:
        """OpenAI's name for why it ended. Raises EngineError where the server ended it."""
        if self.finished is None:
            return None
        reason = finish_reason(self.finished)
        return "tool_calls" if self.calls and reason == "stop" else reason

    @property
    def message(self) -> dict[str, Any]:
        """The whole answer. Content is null where there are calls and nothing is said."""
        text = "".join(self.text)
        message: dict[str, Any] = {"role": "assistant", "content": text if text or not self.calls else None}
        message["refusal"] = None
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            for call, arguments in zip(self.calls, self._arguments, strict=True):
                call["function"]["arguments"] = "".join(arguments)
            message["tool_calls"] = self.calls
        return message

    def json(self, index: int) -> dict[str, Any]:
        """The whole choice."""
        return {
            "index": index,
            "message": self.message,
            "logprobs": None if self.logprobs is None else chat_logprobs(self.logprobs),
            "finish_reason": self.finish_reason,
        }

    def _note(self, event: AnswerEvent) -> None:
        match event:
            case Text(text):
                self.text.append(text)
            case Reasoning(text):
                self.reasoning.append(text)
            case CallBegun(_, call_id, name):
                self.calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}})
                self._arguments.append([])
            case CallArguments(index, text):
                self._arguments[index].append(text)


def delta(event: AnswerEvent) -> dict[str, Any]:
    """A stream's delta, from which clients put the message together."""
    match event:
        case Text(text):
            return {"content": text}
        case Reasoning(text):
            return {"reasoning_content": text}
        case CallBegun(index, call_id, name):
            call = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
            return {"tool_calls": [call]}
        case CallArguments(index, text):
            return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
