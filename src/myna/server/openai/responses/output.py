"""A model's answer as the items of a response, and the events that tell of them as they come.

An item is closed before the next is opened.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from myna.engine.request import Delta, Finished, Started, TokenLogprob
from myna.errors import EngineBusy, LimitReached, MynaError, RequestError
from myna.models.dialects.answer import (
    PLAIN_ANSWER,
    AnswerEvent,
    AnswerParser,
    CallArguments,
    CallBegun,
    Reasoning,
    Text,
)
from myna.server.openai.generation import unix_seconds
from myna.server.openai.logprobs import chat_logprobs
from myna.server.openai.responses.frames import Event, Piece
from myna.server.openai.responses.items import TOKENS, Item, new_id, public
from myna.server.openai.responses.telling import closing, end_kind, head, opening, text_part, whole


@dataclass(slots=True)
class _Open:
    """The item that is being written."""

    item: Item
    head: bytes
    texts: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)


class Output:
    """One response in the making.

    Args:
        response: the response as it was begun; its status, usage and output follow the answer.
        tokenizer: fingerprint of the vocabulary that generated tokens belong to.
        names: the tools that may be called.
        parallel: whether several calls are wanted.
    """

    def __init__(
        self, response: dict[str, Any], tokenizer: str, names: Collection[str] = (), *, parallel: bool = True
    ) -> None:
        self.response = response
        self.items: list[Item] = []
        self.ended = False
        self._tokenizer = tokenizer
        self._names = names
        self._parallel = parallel
        self._parser: AnswerParser | None = None
        self._open: _Open | None = None
        self._started: Started | None = None
        self._raw: list[str] = []
        self._token_ids: list[int] = []
        self._thought_tokens = 0
        self._logprobs: list[dict[str, Any]] = []

    def queue(self) -> list[Event]:
        """It waits to be written."""
        self.response["status"] = "queued"
        return [whole("created", self.shown), whole("queued", self.shown)]

    def begin(self) -> list[Event]:
        """It is being written from now on."""
        is_new = self.response["status"] != "queued"
        self.response["status"] = "in_progress"
        created = [whole("created", self.shown)] if is_new else []
        return [*created, whole("in_progress", self.shown)]

    def take(self, event: Started | Delta | Finished) -> list[Event | Piece]:
        """Note an event of the engine; what it means for clients. The last one ends the response."""
        match event:
            case Started():
                self._started = event
                if event.syntax != PLAIN_ANSWER:
                    self._parser = AnswerParser(event.syntax, self._names, parallel=self._parallel)
                return []
            case Delta():
                return self._delta(event)
        events: list[Event | Piece] = []
        for said in [] if self._parser is None else self._parser.finish():
            self._note(said, events)
        status = {"stop": "completed", "length": "incomplete"}.get(event.reason, "failed")
        if status == "incomplete":
            self.response["incomplete_details"] = {"reason": "max_output_tokens"}
        if status == "failed":
            self.response["error"] = {
                "code": "server_error",
                "message": "The answer was cut off because the model was unloaded; send the request again.",
            }
        return [*events, *self._end(status, event.completion_tokens)]

    def fail(self, error: MynaError) -> list[Event | Piece]:
        """End it because something went wrong, with what it has."""
        self.response["error"] = {"code": _code(error), "message": error.message}
        return self._end("failed", len(self._token_ids))

    def cancel(self) -> list[Event | Piece]:
        """End it because nobody wants it any more, with what it has."""
        return self._end("cancelled", len(self._token_ids))

    @property
    def shown(self) -> dict[str, Any]:
        """The response as clients see it now."""
        return self.response | {"output": [public(item) for item in self.items]}

    def _delta(self, event: Delta) -> list[Event | Piece]:
        events: list[Event | Piece] = []
        self._raw.append(event.text)
        self._token_ids += event.token_ids
        if event.logprobs:
            self._logprobs += _logprobs(event.logprobs)
        if self._parser is None:
            if event.text:
                self._say(event.text, events)
        else:
            for said in self._parser.feed(event.text):
                self._note(said, events)
            if not self.items and (self._open is None or self._open.item["type"] == "reasoning"):
                self._thought_tokens = len(self._token_ids)
        return events

    def _note(self, said: AnswerEvent, events: list[Event | Piece]) -> None:
        match said:
            case Text(text):
                self._say(text, events)
            case Reasoning(text):
                self._logprobs = []  # they are asked for of what is said
                self._add(self._opened("reasoning", events), text, None, events)
            case CallBegun(_, call_id, name):
                self._opened("function_call", events, call_id=call_id, name=name)
            case CallArguments(_, text):
                self._logprobs = []
                assert self._open is not None
                self._add(self._open, text, None, events)

    def _say(self, text: str, events: list[Event | Piece]) -> None:
        opened = self._opened("message", events)
        logprobs, self._logprobs = self._logprobs, []
        opened.logprobs += logprobs
        self._add(opened, text, logprobs, events)

    def _add(
        self, opened: _Open, text: str, logprobs: list[dict[str, Any]] | None, events: list[Event | Piece]
    ) -> None:
        opened.texts.append(text)
        events.append(Piece(opened.head, text, logprobs))

    def _opened(self, kind: str, events: list[Event | Piece], **call: str) -> _Open:
        """The item of a kind that is open; a new one where another is, or for each call."""
        if self._open is not None and self._open.item["type"] == kind and not call:
            return self._open
        self._close("completed", events)
        item: Item = {"id": new_id(kind), "type": kind, "status": "in_progress"}
        match kind:
            case "message":
                item |= {"role": "assistant", "content": []}
            case "reasoning":
                item |= {"summary": [], "content": []}
            case _:
                item |= {"arguments": "", **call}
        events += opening(item, len(self.items))
        self._open = _Open(item, head(item, len(self.items)))
        return self._open

    def _close(self, status: str, events: list[Event | Piece]) -> None:
        opened, self._open = self._open, None
        if opened is None:
            return
        text, kind = "".join(opened.texts), opened.item["type"]
        if kind == "function_call":
            item = opened.item | {"arguments": text, "status": status}
        else:
            if kind == "message":
                opened.logprobs += self._logprobs
                self._logprobs = []
            item = opened.item | {"content": [text_part(kind, text, opened.logprobs)], "status": status}
        if kind == "message" and text and "".join(self._raw) == text:  # nothing else was said: all tokens are its own
            item[TOKENS] = {"ids": self._token_ids, "tokenizer": self._tokenizer}
        events += closing(item, len(self.items))
        self.items.append(item)

    def _end(self, status: str, completion_tokens: int) -> list[Event | Piece]:
        events: list[Event | Piece] = []
        if status == "completed" and not self.items and self._open is None:
            self._opened("message", events)
        self._close("completed" if status == "completed" else "incomplete", events)
        self.ended = True
        self.response["status"] = status
        if status == "completed":
            self.response["completed_at"] = unix_seconds()
        if self._started is not None:
            self.response["usage"] = self._usage(self._started, completion_tokens)
        return [*events, whole(end_kind(status), self.shown)]

    def _usage(self, started: Started, completion_tokens: int) -> dict[str, Any]:
        thought = self._thought_tokens if self.items and self.items[0]["type"] == "reasoning" else 0
        return {
            "input_tokens": started.prompt_tokens,
            "input_tokens_details": {"cached_tokens": started.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": completion_tokens,
            "output_tokens_details": {"reasoning_tokens": min(thought, completion_tokens)},
            "total_tokens": started.prompt_tokens + completion_tokens,
        }


def _logprobs(tokens: tuple[TokenLogprob, ...]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = chat_logprobs(tokens)["content"]
    return content


def _code(error: MynaError) -> str:
    """OpenAI's code for what went wrong with a response."""
    if isinstance(error, EngineBusy | LimitReached):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, RequestError) else "server_error"
