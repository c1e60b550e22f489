"""Conversations -> prompts in one of the named formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from myna.chat import Message, Tool
from myna.models.dialects import Prompt
from myna.models.dialects.answer import AnswerSyntax
from myna.models.dialects.formats import Format
from myna.models.dialects.messages import check_effort, check_messages
from myna.models.dialects.tools import without_tools
from myna.models.prompting import Generated, Said, Segment, Written, encode_segments, message_segments
from myna.models.tokenizer import Tokenizer


class NamedDialect:
    """Talks to a model in a format. What people say is never control, whatever it is spelled like."""

    def __init__(self, form: Format, tokenizer: Tokenizer) -> None:
        self._form = form
        self._tokenizer = tokenizer
        named = {name: tokenizer.token_id(name) for name in form.stops}
        self.stop_token_ids = tokenizer.stop_token_ids | {id_ for id_ in named.values() if id_ is not None}
        self.stop_strings = tuple(name for name, id_ in named.items() if id_ is None)

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
        check_effort(effort)
        return Prompt(
            self.encode(without_tools(messages, tools), continue_last=continue_last),
            AnswerSyntax("hermes" if tools else None),
        )

    def encode(self, messages: Sequence[Message], *, continue_last: bool = False) -> list[int]:
        """Token ids of the prompt for a conversation in which nothing is called."""
        check_messages(messages, continue_last)
        if continue_last and not messages[-1].text:
            messages, continue_last = messages[:-1], False
            check_messages(messages, continue_last)
        form, bos_id = self._form, self._tokenizer.bos_id
        opening: list[Segment] = []
        before: list[int] = []
        if form.opening is not None:
            opening.append(self._written(form.opening))
        elif self._tokenizer.adds_bos and bos_id is not None:
            before.append(bos_id)
        segments = [*opening, *self._turns(messages)]
        if continue_last:
            segments.pop()  # what ends an answer
        else:
            segments.append(self._written(form.assistant.partition("{text}")[0].removesuffix(" ")))
        return before + encode_segments(self._tokenizer, segments, own_spaces=form.own_spaces)

    def close(self) -> None:
        """Nothing to end."""

    def _turns(self, messages: Sequence[Message]) -> Iterator[Segment]:
        """Every message in the form's pieces; an assistant's ends with a segment of its own."""
        form = self._form
        users = [index for index, message in enumerate(messages) if message.role == "user"]
        system = [message for message in messages if message.role == "system"]
        if not system and (default := self._default(messages)):
            yield from self._piece(form.system, [Said(default)])
        host = None
        if form.system_in != "own" and users and system:
            host = users[0 if form.system_in == "first user" else -1]
        for index, message in enumerate(messages):
            said = self._said(message)
            if message.role == "user":
                if index == host:
                    inner = [part for each in system for part in self._piece(form.system, self._said(each))]
                    said = [*inner, *said]
                yield from self._piece(form.user, said)
            elif message.role == "assistant":
                yield from self._piece(_fitted(form.assistant, said, message.text), said)
            elif form.system_in == "own":
                yield from self._piece(form.system, said)
            elif host is None:  # nobody asks anything: the system's words are the question
                yield from self._piece(form.user, said)

    def _default(self, messages: Sequence[Message]) -> str:
        form = self._form
        first = next((message.text for message in messages if message.role == "user"), "")
        has_input = bool(form.input_mark) and form.input_mark in first
        return form.default_with_input if has_input else form.default_system

    def _piece(self, piece: str, said: list[Segment]) -> Iterator[Segment]:
        before, _, after = piece.partition("{text}")
        yield self._written(before)
        yield from said
        yield self._written(after)

    def _said(self, message: Message) -> list[Segment]:
        segments = message_segments(self._tokenizer, message)
        if self._form.strips and segments:
            if isinstance(first := segments[0], Said):
                segments[0] = Said(first.text.lstrip())
            if isinstance(last := segments[-1], Said):
                segments[-1] = Said(last.text.rstrip())
        return segments

    def _written(self, piece: str) -> Written:
        for name, token_id in (("{bos}", self._tokenizer.bos_id), ("{eos}", self._tokenizer.eos_id)):
            if name in piece:
                piece = piece.replace(name, "" if token_id is None else self._tokenizer.token_name(token_id))
        return Written(piece)


def _fitted(piece: str, said: list[Segment], answer: str) -> str:
    """A piece without the spaces that an answer brings itself.

    What a model wrote stands behind what asked for it, which has no space at its end; and it may end with the very
    lines that the piece would add.
    """
    before, _, after = piece.partition("{text}")
    if said and (isinstance(first := said[0], Generated) or (isinstance(first, Said) and first.text.startswith(" "))):
        before = before.removesuffix(" ")
    spaces = after[: len(after) - len(after.lstrip())]
    if spaces and said and not isinstance(said[-1], Said) and answer.endswith(spaces):
        after = after.removeprefix(spaces)
    return f"{before}{{text}}{after}"
