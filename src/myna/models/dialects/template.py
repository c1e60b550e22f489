"""A checkpoint's own chat template, rendered so that what people say can never become control.

The template is rendered twice: once with an unguessable placeholder in the place of every message's content, and once
with the contents themselves. The first tells what the template wrote and where the contents go; no content takes part
in it, so none can pass for the template's own words. The second tells what the template does to contents, such as
trimming them. Where putting the contents into the first gives the second, all is known. Where it does not, because
the template changes contents in a way of its own, the second must fit between the template's words in exactly one way;
otherwise the conversation is refused.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myna.chat import Message
from myna.errors import InvalidParameter, ModelFileError
from myna.hub.entries import known_templates
from myna.models.dialects.messages import check_messages
from myna.models.dialects.sandbox import TemplateFailure, TemplateRefusal, render
from myna.models.dialects.worker import TemplateWorker
from myna.models.prompting import Generated, Said, Segment, Written, encode_segments, message_segments
from myna.models.tokenizer import Tokenizer

PROBE = "\u2003"
"""A space that no template writes: around a placeholder it shows whether the template trims contents."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place where the template put a message's content, and on which sides it left the spaces."""

    message: int
    keeps_left: bool
    keeps_right: bool

    def trim(self, text: str) -> str:
        """What the template makes of a content, as far as placeholders can tell."""
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
        self._constants: dict[str, Any] = {"tools": None, "documents": None}
        for name, token_id in (("bos_token", tokenizer.bos_id), ("eos_token", tokenizer.eos_id)):
            if token_id is not None:
                self._constants[name] = tokenizer.token_name(token_id)
        known = hashlib.sha256(source.encode()).hexdigest() in known_templates()
        self._worker = None if known else TemplateWorker(source)

    def encode(self, messages: Sequence[Message], *, continue_last: bool = False) -> list[int]:
        """See `Dialect.encode`."""
        check_messages(messages, continue_last)
        if continue_last and not messages[-1].text:
            messages, continue_last = messages[:-1], False
            check_messages(messages, continue_last)
        return encode_segments(self._tokenizer, self._segments(messages, continue_last))

    def close(self) -> None:
        """End the template's process, if it has one."""
        if self._worker is not None:
            self._worker.close()

    def _segments(self, messages: Sequence[Message], continue_last: bool) -> list[Segment]:
        contents = [message.text for message in messages]
        secret = f"{secrets.randbits(128):039d}"  # digits, which no change of case touches
        # What is only space holds no control token, and templates ask whether a content is empty.
        marked = [
            f"{PROBE}{secret}{number:06d}{PROBE}" if content.strip() else content
            for number, content in enumerate(contents)
        ]
        outline, whole = self._render(
            [self._variables(messages, texts, not continue_last) for texts in (marked, contents)]
        )
        literals, slots = _split(outline, secret)
        if "".join(_interleave(literals, [slot.trim(contents[slot.message]) for slot in slots])) == whole:
            said = [self._said(messages[slot.message], slot) for slot in slots]
        else:
            said = []
            for slot, text in zip(slots, self._align(literals, whole), strict=True):
                content = contents[slot.message]
                if any(text.count(name) > content.count(name) for name in self._control_names(text)):
                    raise self._unsafe("its own words depend on what the messages say")
                said.append(self._said(messages[slot.message], slot) if text == slot.trim(content) else [Said(text)])
        if continue_last:
            last = max((index for index, slot in enumerate(slots) if slot.message == len(messages) - 1), default=None)
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

    def _variables(self, messages: Sequence[Message], texts: list[str], add_generation_prompt: bool) -> dict[str, Any]:
        rendered = [{"role": message.role, "content": text} for message, text in zip(messages, texts, strict=True)]
        return {**self._constants, "messages": rendered, "add_generation_prompt": add_generation_prompt}

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


def _interleave(literals: list[str], contents: list[str]) -> list[str]:
    woven = [literals[0]]
    for content, literal in zip(contents, literals[1:], strict=True):
        woven += [content, literal]
    return woven


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
