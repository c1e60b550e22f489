"""A model's answer as it is written -> what it says, what it thinks, and the tools it calls.

Pure: text in, events out, however the text is cut into pieces. What a model writes is never trusted to be well-formed.
A call counts from where its name, one of a known tool's, and the brace that opens its arguments are there; what begins
like a call and does not get that far is text, every character of it.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

CallSyntax = Literal["hermes", "llama3", "mistral"]
"""How models write calls.

- hermes: ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``, any number of them between text. Also Qwen's.
- llama3: the answer is ``{"name": …, "parameters": {…}}``, several with ``;`` between them, or that after
  ``<|python_tag|>``.
- mistral: ``[TOOL_CALLS][{"name": …, "arguments": {…}}, …]``, later ``[TOOL_CALLS]name[ARGS]{…}``.
"""

CALL_MARKS: dict[CallSyntax, str] = {"hermes": "<tool_call>", "llama3": "<|python_tag|>", "mistral": "[TOOL_CALLS]"}
OTHER_MARKS: dict[CallSyntax, tuple[str, ...]] = {
    "hermes": ("</tool_call>",),
    "llama3": (),
    "mistral": ("[ARGS]", "[CALL_ID]"),
}
"""What else may be a control token within a call."""
CALL_END = "</tool_call>"
THINK, THINK_END = "<think>", "</think>"

HEAD = re.compile(r'\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ID = re.compile(r"\A[A-Za-z0-9]*")
NAMED_HEAD = re.compile(r"([A-Za-z0-9_.-]{1,64})(?:\[CALL_ID\][A-Za-z0-9]*)?(?:\[ARGS\])?\s*(?=\{)")


@dataclass(frozen=True, slots=True)
class AnswerSyntax:
    """What to look for in an answer.

    ``calls``: None if no tool may be called. ``thinks``: it may begin with ``<think>…</think>``. ``begun``: how the
    answer begins, where that is part of the prompt already.
    """

    calls: CallSyntax | None = None
    thinks: bool = False
    begun: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """Names that have to be seen in an answer's text even where they are control tokens."""
        thinking = (THINK, THINK_END) if self.thinks else ()
        return thinking if self.calls is None else (*thinking, CALL_MARKS[self.calls], *OTHER_MARKS[self.calls])


PLAIN_ANSWER = AnswerSyntax()
"""An answer that is text alone."""


@dataclass(frozen=True, slots=True)
class Text:
    """Something said."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Something thought."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A tool is called; its arguments follow. Calls count from 0."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of a call's arguments, as the model wrote them."""

    index: int
    text: str


AnswerEvent = Text | Reasoning | CallBegun | CallArguments


def new_call_id() -> str:
    """An id that no other call has."""
    return f"call_{uuid.uuid4().hex[:24]}"


class AnswerParser:
    """Reads one answer.

    Args:
        syntax: what to look for.
        names: the tools that may be called.
        parallel: whether there may be more than one call; what follows the first is dropped if not.
        new_id: makes ids for calls.
    """

    def __init__(
        self,
        syntax: AnswerSyntax,
        names: Collection[str] = (),
        *,
        parallel: bool = True,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        self.calls = 0
        self._syntax = syntax
        self._mark = None if syntax.calls is None else CALL_MARKS[syntax.calls]
        self._names = names
        self._parallel = parallel
        self._new_id = new_id
        self._buffer = syntax.begun
        self._events: list[AnswerEvent] = []
        self._step: Callable[[], bool] = self._begin if syntax.thinks else self._open
        self._opening = ""  # what is text after all, should the call that it opens be none
        self._scanner = ObjectScanner()
        self._scanned = 0
        self._has_thought = False
        self._is_bare = False  # the arguments stand in no object that has to be closed

    def feed(self, text: str) -> list[AnswerEvent]:
        """Go on by a piece of the answer."""
        self._buffer += text
        while self._step():
            pass
        return self._take()

    def finish(self) -> list[AnswerEvent]:
        """The rest, when no more comes."""
        while self._step in (self._begin, self._open, self._call):
            if self._step == self._call:
                self._reject()
            self._step = self._say
            while self._step():
                pass
        if self._step == self._say and not (self.calls and self._buffer.isspace()):
            self._say_text(self._buffer)
        elif self._step == self._think:
            self._think_text(self._buffer.rstrip())
        self._buffer = ""
        return self._take()

    def _take(self) -> list[AnswerEvent]:
        events, self._events = self._events, []
        return events

    # Each step looks at the buffer, and says whether another may follow: False waits for more text.

    def _begin(self) -> bool:
        rest = self._buffer.lstrip()
        if rest.startswith(THINK):
            self._buffer = rest.removeprefix(THINK)
            self._step = self._think
        elif THINK.startswith(rest):
            return False
        else:
            self._step = self._open
        return True

    def _think(self) -> bool:
        end = self._buffer.find(THINK_END)
        if end < 0:
            end = _settled(self._buffer, THINK_END)
            self._think_text(self._buffer[:end])
            self._buffer = self._buffer[end:]
            return False
        self._think_text(self._buffer[:end].rstrip())
        self._buffer = self._buffer[end + len(THINK_END) :]
        self._step = self._leave_thought
        return True

    def _leave_thought(self) -> bool:
        self._buffer = self._buffer.lstrip()
        self._step = self._open if self._buffer else self._leave_thought
        return bool(self._buffer)

    def _open(self) -> bool:
        """Where text may begin: only here is an object by itself a call."""
        if self._syntax.calls == "llama3":
            rest = self._buffer.lstrip()
            if not rest:
                return False
            if rest[0] == "{":
                self._expect_call(self._buffer[: -len(rest)], rest)
                return True
        self._step = self._say
        return True

    def _say(self) -> bool:
        if self._mark is None:
            self._say_text(self._buffer)
            self._buffer = ""
            return False
        at = self._buffer.find(self._mark)
        if at < 0:
            end = _settled(self._buffer, self._mark)
            self._say_text(self._buffer[:end])
            self._buffer = self._buffer[end:]
            return False
        said = self._buffer[:at].rstrip()
        self._say_text(said)
        after = at + len(self._mark)
        self._expect_call(self._buffer[len(said) : after], self._buffer[after:])
        return True

    def _expect_call(self, opening: str, rest: str) -> None:
        self._opening, self._buffer = opening, rest
        self._scanner, self._scanned = ObjectScanner(), 0
        self._step = self._call

    def _call(self) -> bool:
        rest = self._buffer.lstrip()
        if not rest:
            return False
        is_mistral = self._syntax.calls == "mistral"
        if is_mistral and rest[0] == "[" and not self._opening.endswith(("[", ",")):
            self._expect_call(self._opening + self._buffer[: -len(rest)] + "[", rest[1:])
            return True
        self._is_bare = rest[0] != "{"
        if self._is_bare and not is_mistral:
            return self._reject()
        if head := (NAMED_HEAD if self._is_bare else HEAD).match(rest):
            name = _name(head[1])
            if name not in self._names:
                return self._reject()
            self._begin_call(name)
            self._buffer = rest[head.end() :]
            self._scanner, self._scanned = ObjectScanner(), 0
            self._step = self._arguments
            return True
        if self._is_bare:
            return self._reject() if not _may_become_named(rest) else False
        end = self._scanner.push(rest[self._scanned :])
        if end is None:
            self._scanned = len(rest)
            return False
        end += self._scanned
        name, arguments = _read_call(rest[:end])
        if name not in self._names or arguments is None:
            return self._reject()
        self._begin_call(name)
        self._events.append(CallArguments(self.calls - 1, arguments))
        self._buffer = rest[end:]
        self._step = self._after_object
        return True

    def _begin_call(self, name: str) -> None:
        self._events.append(CallBegun(self.calls, self._new_id(), name))
        self.calls += 1

    def _reject(self) -> bool:
        """It is no call: its opening is text, and so is the rest unless a call begins in it."""
        self._say_text(self._opening)
        self._step = self._say
        return True

    def _arguments(self) -> bool:
        end = self._scanner.push(self._buffer)
        text = self._buffer if end is None else self._buffer[:end]
        if text:
            self._events.append(CallArguments(self.calls - 1, text))
        self._buffer = self._buffer[len(text) :]
        if end is None:
            return False
        self._scanner = ObjectScanner(depth=1)
        self._step = self._after_object if self._is_bare or self._syntax.calls == "hermes" else self._close
        return True

    def _close(self) -> bool:
        """Drop what else the object has after the arguments, such as an id."""
        end = self._scanner.push(self._buffer)
        self._buffer = "" if end is None else self._buffer[end:]
        if end is None:
            return False
        self._step = self._after_object
        return True

    def _after_object(self) -> bool:
        """Find out whether another call follows."""
        if not self._parallel:
            self._step = self._drop
            return True
        if self._syntax.calls == "hermes":
            before, mark, after = self._buffer.partition(CALL_END)
            self._buffer = after if mark else before[_settled(before, CALL_END) :]
            self._step = self._say if mark else self._after_object
            return bool(mark)
        rest = self._buffer.lstrip()
        if not rest:
            return False
        if self._syntax.calls == "mistral" and not self._is_bare:
            if rest[0] == ",":
                self._expect_call(",", rest[1:])
                return True
            rest = rest.removeprefix("]")
        elif self._syntax.calls == "llama3" and rest[0] == ";":
            self._buffer = rest[1:]
            return True
        elif self._syntax.calls == "llama3" and rest[0] == "{":
            self._expect_call("", rest)
            return True
        self._buffer = rest
        self._step = self._say
        return True

    def _drop(self) -> bool:
        self._buffer = ""
        return False

    def _say_text(self, text: str) -> None:
        if text:
            self._events.append(Text(text))

    def _think_text(self, text: str) -> None:
        if not self._has_thought:
            text = text.lstrip()
        if text:
            self._has_thought = True
            self._events.append(Reasoning(text))


class ObjectScanner:
    """Finds the end of a JSON object by its braces alone, a piece at a time."""

    __slots__ = ("_depth", "_escaped", "_in_string")

    _NEXT = re.compile(r'[{}"]')
    _NEXT_IN_STRING = re.compile(r'["\\]')

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._in_string = self._escaped = False

    def push(self, text: str) -> int | None:
        """Go on by a piece; how much of it belongs to the object if that ends here."""
        at = 0
        if self._escaped and text:
            at, self._escaped = 1, False
        while found := (self._NEXT_IN_STRING if self._in_string else self._NEXT).search(text, at):
            at = found.end()
            match found[0]:
                case '"':
                    self._in_string = not self._in_string
                case "\\":
                    self._escaped = at == len(text)
                    at += 1
                case "{":
                    self._depth += 1
                case "}":
                    self._depth -= 1
                    if self._depth <= 0:
                        return at
        return None


def _settled(text: str, mark: str) -> int:
    """How much of a text is sure to stand before a mark and the spaces around it that may yet follow."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return len(text[:-length].rstrip())
    return len(text.rstrip())


def _name(spelled: str) -> str:
    if not spelled.startswith('"'):
        return spelled
    try:
        return str(json.loads(spelled))
    except ValueError:
        return ""


def _read_call(text: str) -> tuple[str, str | None]:
    """Name and arguments of an object that has them in another order, or has no arguments."""
    try:
        call: Any = json.loads(text)
        arguments = call.get("arguments", call.get("parameters", {}))
        if isinstance(arguments, str):  # JSON within JSON
            arguments = json.loads(arguments or "{}")
        if not isinstance(call.get("name"), str) or not isinstance(arguments, dict):
            return "", None
        return call["name"], json.dumps(arguments, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "", None


def _may_become_named(text: str) -> bool:
    """Whether ``name[CALL_ID]id[ARGS]{`` can still come of a text."""
    name = _NAME.match(text)
    if name is None:
        return False
    text = text[name.end() :]
    if "[CALL_ID]".startswith(text):
        return True
    if text.startswith("[CALL_ID]"):
        text = _ID.sub("", text.removeprefix("[CALL_ID]"), count=1)
    return "[ARGS]".startswith(text) or not text.removeprefix("[ARGS]").strip()
