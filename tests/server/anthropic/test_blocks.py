"""Content blocks out of what models write."""

from __future__ import annotations

from myna.engine.request import Delta, Finished, Started
from myna.models.dialects.answer import AnswerSyntax
from myna.server.anthropic.blocks import Blocks

HERMES = AnswerSyntax(calls="hermes", thinks=True)


def read(*pieces: str) -> tuple[Blocks, list[str]]:
    """The blocks of an answer, and what its stream's events are."""
    blocks = Blocks(["f"], parallel=True)
    events = [Started("a", 1, 0, 0, syntax=HERMES), *(Delta("a", piece, (1,)) for piece in pieces)]
    made = [each for event in (*events, Finished("a", "stop", 1)) for each in blocks.take(event)]
    return blocks, [f"{each['type'].removeprefix('content_block_')} {each['index']}" for each in made]


def test_thoughts_text_and_uses_are_blocks() -> None:
    blocks, events = read(
        "<think>hm", "m</think>", "Hi", " you", '<tool_call>{"name": "f", "arguments": {"a"', ": 1}}</tool_call>"
    )
    thought, text, use = blocks.content
    assert thought == {"type": "thinking", "thinking": "hmm", "signature": ""}
    assert text == {"type": "text", "text": "Hi you"}
    assert (use["name"], use["input"]) == ("f", {"a": 1})
    assert blocks.has_uses
    assert list(dict.fromkeys(events)) == [
        *("start 0", "delta 0", "stop 0", "start 1", "delta 1", "stop 1", "start 2", "delta 2", "stop 2")
    ]


def test_arguments_that_are_no_json_are_kept_as_they_are() -> None:
    blocks, _ = read('<tool_call>{"name": "f", "arguments": {"a": ')
    assert blocks.content[-1]["input"] == {"INVALID_JSON": '{"a": '}


def test_an_answer_of_nothing_has_no_blocks() -> None:
    blocks, events = read()
    assert (blocks.content, events) == ([], [])
