"""A checkpoint's own chat template, rendered so that what people say can never become control.

The template is rendered twice: once with an unguessable placeholder in the place of every message's content, and once
with the contents themselves. The first tells what the template wrote and where the contents go; no content takes part
in it, so none can pass for the template's own words. The second tells what the template does to contents, such as
trimming them. Where putting the contents into the first gives the second, all is known. Where it does not, because
the template changes contents in a way of its own, the second must fit between the template's words in exactly one way;
otherwise the conversation is refused.

Tools and calls go to templates that know them as the data they are. Of these only what spells a control token gets a
placeholder, because templates look at the rest, such as the types in a schema.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myna.chat import Message, Tool, ToolResultPart
from myna.errors import InvalidParameter, ModelFileError
from myna.hub.entries import known_templates
from myna.models.dialects import Prompt
from myna.models.dialects.answer import CALL_MARKS, THINK, AnswerSyntax
from myna.models.dialects.messages import check_effort, check_messages
from myna.models.dialects.sandbox import TemplateFailure, TemplateRefusal, render
from myna.models.dialects.tools import has_calls, native_syntax, tool_json, without_tools
from myna.models.dialects.worker import TemplateWorker
from myna.models.prompting import Generated, Said, Segment, Written, encode_segments, message_segments
from myna.models.tokenizer import Tokenizer

PROBE = "\u2003"
"""A space that no template writes: around a placeholder it shows whether the template trims contents."""

MAX_DEPTH = 64
"""Levels of a call's arguments that are data to a template."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place where the template put a text, and on which sides it left the spaces.

    The first texts are the messages' contents.
    """

    text: int
    keeps_left: bool
    keeps_right: bool

    def trim(self, text: str) -> str:
        """What the template makes of a text, as far as placeholders can tell."""
        if not self.keeps_left:
            text = text.lstrip()
        return text if self.keeps_right else text.rstrip()


class TemplateDialect:
    """Talks to a model through its chat template.

    A template that the catalog knows is rendered here, any other in a process that can be killed.
    """

    def __init__(self, path: Path, source: str, tokenizer: Tokenizer) -> None:
        self.stop_token_ids = tokenizer.stop_token_ids
        self.stop_strings: tuple[str, ...] = ()
        self._path = path
        self._source = source
        self._tokenizer = tokenizer
        self._calls = native_syntax(source)
        self._thinks = THINK in source or "</think>" in source
        self._constants: dict[str, Any] = {"tools": None, "documents": None}
        for name, token_id in (("bos_token", tokenizer.bos_id), ("eos_token", tokenizer.eos_id)):
            if token_id is not None:
                self._constants[name] = tokenizer.token_name(token_id)
        known = hashlib.sha256(source.encode()).hexdigest() in known_templates()
        self._worker = None if known else TemplateWorker(source)

    def prompt(
        self,
        messages: Sequence[Message],
        *,
        continue_last: bool = False,
        tools: Sequence[Tool] = (),
        must_call: bool = False,
        effort: str | None = None,
    ) -> Prompt:
        """See `Dialect.prompt`."""
        check_messages(messages, continue_last)
        variables: dict[str, Any] = self._thinking("none" if must_call else effort, effort)
        if self._calls is not None:
            if tools:
                variables["tools"] = [tool_json(tool) for tool in tools]
            segments = self._segments(messages, continue_last, variables)
        elif not tools and not has_calls(messages):
            segments = self._segments(messages, continue_last, variables)
        else:
            try:
                segments = self._segments(without_tools(messages, tools), continue_last, variables)
            except InvalidParameter:  # some models have no system message
                if not tools or any(message.role == "system" for message in messages):
                    raise
                described = without_tools(messages, tools, in_system=False)
                segments = self._segments(described, continue_last, variables)
        begun = ""
        ending = segments[-1]
        if isinstance(ending, Written) and ending.text.rstrip().endswith(THINK):
            begun = THINK
        elif must_call and self._calls == "mistral":
            begun = CALL_MARKS[self._calls]
            segments.append(Written(begun))
        syntax = AnswerSyntax((self._calls or "hermes") if tools else None, self._thinks, begun)
        return Prompt(encode_segments(self._tokenizer, segments), syntax)

    def encode(self, messages: Sequence[Message], *, continue_last: bool = False) -> list[int]:
        """Token ids of the prompt for a conversation in which nothing can be called."""
        return self.prompt(messages, continue_last=continue_last).token_ids

    def close(self) -> None:
        """End the template's process, if it has one."""
        if self._worker is not None:
            self._worker.close()

    def _thinking(self, effort: str | None, asked: str | None) -> dict[str, Any]:
        """What tells the template how much to think."""
        if "reasoning_effort" in self._source:
            levels = {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}
            return {} if effort in (None, "on") else {"reasoning_effort": levels.get(effort, effort)}
        if "enable_thinking" in self._source:
            return {} if effort is None else {"enable_thinking": effort != "none"}
        if self._thinks and asked == "on":
            return {}
        if self._thinks and asked == "none":
            raise InvalidParameter(
                "This model cannot be told not to think; leave 'reasoning_effort' out.", param="reasoning_effort"
            )
        check_effort(asked)
        return {}

    def _segments(
        self, messages: Sequence[Message], continue_last: bool, variables: dict[str, Any] | None = None
    ) -> list[Segment]:
        if continue_last and not messages[-1].text:
            messages, continue_last = messages[:-1], False
            check_messages(messages, continue_last)
        texts = [message.text for message in messages]
        secret = f"{secrets.randbits(128):039d}"  # digits, which no change of case touches
        data = (variables or {}) | {"messages": [self._message(message) for message in messages]}
        marked = self._marked(data, texts, secret)
        for number, (content, turn) in enumerate(zip(texts, marked["messages"], strict=False)):
            # What is only space holds no control token, and templates ask whether a content is empty.
            turn["content"] = _placeholder(secret, number) if content.strip() else content
        shared = self._constants | {"add_generation_prompt": not continue_last}
        outline, whole = self._render([shared | marked, shared | data])
        literals, slots = _split(outline, secret)
        fitted = _fit(literals, slots, texts, whole)
        exact = fitted is not None
        if fitted is None:
            fitted = self._align(literals, whole)
        said = []
        for slot, text in zip(slots, fitted, strict=True):
            original = texts[slot.text]
            if not exact and any(text.count(name) > original.count(name) for name in self._control_names(text)):
                raise self._unsafe("its own words depend on what the messages say")
            is_content = slot.text < len(messages) and text == slot.trim(original)
            said.append(self._said(messages[slot.text], slot) if is_content else [Said(text)])
        if continue_last:
            last = max((index for index, slot in enumerate(slots) if slot.text == len(messages) - 1), default=None)
            if last is None:
                raise self._unsafe("it leaves out the message that is to be continued")
            literals, said = [*literals[: last + 1], ""], said[: last + 1]
            said[last] = message_segments(self._tokenizer, messages[-1])
        segments: list[Segment] = []
        for literal, spoken in zip(literals, [*said, []], strict=True):
            # A generated answer has the space before it that the template writes out for texts.
            if literal.endswith(" ") and spoken and self._begins_with_space(spoken[0]):
                literal = literal[:-1]
            segments += [Written(literal), *spoken]
        return segments

    def _begins_with_space(self, segment: Segment) -> bool:
        return isinstance(segment, Generated) and self._tokenizer.decode(segment.token_ids).startswith(" ")

    def _message(self, message: Message) -> dict[str, Any]:
        """A message as templates know it, whatever they make of it."""
        turn: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.reasoning:
            turn["reasoning_content"] = message.reasoning
        if message.calls:
            turn["tool_calls"] = [
                {
                    "id": self._call_id(call.id),
                    "type": "function",
                    "function": {"name": call.name, "arguments": _arguments(call.arguments)},
                }
                for call in message.calls
            ]
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                turn["tool_call_id"] = self._call_id(part.call_id)
        return turn

    def _call_id(self, call_id: str) -> str:
        """Mistral's templates insist on ids of nine letters and digits."""
        if self._calls != "mistral" or re.fullmatch("[A-Za-z0-9]{9}", call_id):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[:9]

    def _marked(self, value: Any, texts: list[str], secret: str) -> Any:
        """The same data with placeholders for texts that spell a control token; those are added to ``texts``."""
        if isinstance(value, str) and self._control_names(value):
            texts.append(value)
            return _placeholder(secret, len(texts) - 1)
        if isinstance(value, dict):
            if any(self._control_names(key) for key in value):
                raise self._unsafe("a name in the tools spells one of the model's control tokens")
            return {key: self._marked(each, texts, secret) for key, each in value.items()}
        if isinstance(value, list):
            return [self._marked(each, texts, secret) for each in value]
        return value

    def _render(self, variables: list[dict[str, Any]]) -> list[str]:
        try:
            if self._worker is not None:
                return self._worker.render(variables)
            return [render(self._source, each) for each in variables]
        except TemplateRefusal as refusal:
            raise InvalidParameter(
                f"The model's chat template refuses this conversation: {refusal}", param="messages"
            ) from refusal
        except TemplateFailure as failure:
            raise ModelFileError(self._path, f"its chat template failed ({failure})") from failure

    def _said(self, message: Message, slot: Slot) -> list[Segment]:
        """A content's segments, trimmed as the template trims; tokens that the model generated stay whole."""
        segments = message_segments(self._tokenizer, message)
        if segments and isinstance(segments[0], Said) and not slot.keeps_left:
            segments[0] = Said(segments[0].text.lstrip())
        if segments and isinstance(segments[-1], Said) and not slot.keeps_right:
            segments[-1] = Said(segments[-1].text.rstrip())
        return segments

    def _align(self, literals: list[str], whole: str) -> list[str]:
        """What stands between the template's words in the whole rendering, if there is one way to see it."""
        first, last = literals[0], literals[-1]
        inner = literals[1:-1]
        end = len(whole) - len(last)
        if not (whole.startswith(first) and whole.endswith(last) and len(first) <= end):
            raise self._unsafe("its own words depend on what the messages say")
        forwards = _positions(whole, inner, len(first), end)
        backwards = _positions(
            whole[::-1], [text[::-1] for text in reversed(inner)], len(last), len(whole) - len(first)
        )
        if forwards is None or backwards is None:
            raise self._unsafe("its own words depend on what the messages say")
        if forwards != [(len(whole) - stop, len(whole) - start) for start, stop in reversed(backwards)]:
            raise self._unsafe("a message contains the template's own words, and the two cannot be told apart")
        bounds = [len(first), *(bound for span in forwards for bound in span), end]
        return [whole[start:stop] for start, stop in zip(bounds[::2], bounds[1::2], strict=True)]

    def _control_names(self, text: str) -> set[str]:
        ids = {part for part in self._tokenizer.split_control(text) if isinstance(part, int)}
        return {self._tokenizer.token_name(token_id) for token_id in ids}

    def _unsafe(self, reason: str) -> InvalidParameter:
        return InvalidParameter(
            f"The model's chat template cannot be used safely for this conversation: {reason}.", param="messages"
        )


def _split(outline: str, secret: str) -> tuple[list[str], list[Slot]]:
    """The template's own words around its slots: one more than there are slots."""
    literals, slots = [], []
    position = 0
    for match in re.finditer(f"({PROBE}?){secret}([0-9]{{6}})({PROBE}?)", outline):
        literals.append(outline[position : match.start()])
        slots.append(Slot(int(match[2]), bool(match[1]), bool(match[3])))
        position = match.end()
    literals.append(outline[position:])
    return literals, slots


def _placeholder(secret: str, number: int) -> str:
    return f"{PROBE}{secret}{number:06d}{PROBE}"


def _fit(literals: list[str], slots: list[Slot], texts: list[str], whole: str) -> list[str] | None:
    """What stands in each slot, where that is the text as it is or as JSON spells it; None if it is anything else."""
    found = []
    at = len(literals[0])
    if not whole.startswith(literals[0]):
        return None
    for slot, literal in zip(slots, literals[1:], strict=True):
        text = slot.trim(texts[slot.text])
        spellings = (text, json.dumps(text, ensure_ascii=False)[1:-1])
        fitting = next((each for each in spellings if whole.startswith(each + literal, at)), None)
        if fitting is None:
            return None
        found.append(fitting)
        at += len(fitting) + len(literal)
    return found if at == len(whole) else None


def _arguments(written: str) -> Any:
    """A call's arguments as data, which most templates expect; as text if they are no object, or nest without end."""
    try:
        arguments = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return written
    level: list[Any] = [arguments] if isinstance(arguments, dict) else []
    for _ in range(MAX_DEPTH):
        if not level:
            break
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for values in inner for each in values if isinstance(each, dict | list)]
    return arguments if isinstance(arguments, dict) and not level else written


def _positions(text: str, parts: list[str], start: int, end: int) -> list[tuple[int, int]] | None:
    """Where each part first stands in text[start:end], one after the other; None when one is not there."""
    found = []
    for part in parts:
        at = text.find(part, start, end)
        if at < 0:
            return None
        start = at + len(part)
        found.append((at, start))
    return found
