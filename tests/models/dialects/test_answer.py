"""Answers in the native syntax of several models, in one piece and in any others."""

from __future__ import annotations

import json
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.models.dialects.answer import (
    AnswerEvent,
    AnswerParser,
    AnswerSyntax,
    CallArguments,
    CallBegun,
    CallSyntax,
    Reasoning,
    Text,
)

NAMES = ("look", "add", "get-weather")
HERMES, LLAMA3, MISTRAL = (AnswerSyntax(calls, thinks=True) for calls in ("hermes", "llama3", "mistral"))

Read = tuple[str, str, list[tuple[str, str]]]


def read(pieces: list[str] | str, syntax: AnswerSyntax, *, parallel: bool = True) -> Read:
    """Text, reasoning, and calls with their arguments."""
    ids = count(1)
    parser = AnswerParser(syntax, NAMES, parallel=parallel, new_id=lambda: f"id{next(ids)}")
    events: list[AnswerEvent] = []
    for piece in [pieces] if isinstance(pieces, str) else pieces:
        events += parser.feed(piece)
    events += parser.finish()
    text = "".join(event.text for event in events if isinstance(event, Text))
    reasoning = "".join(event.text for event in events if isinstance(event, Reasoning))
    calls: list[list[str]] = []
    for event in events:
        match event:
            case CallBegun(index, id_, name):
                assert (index, id_) == (len(calls), f"id{index + 1}")
                calls.append([name, ""])
            case CallArguments(index, arguments):
                assert index == len(calls) - 1
                calls[index][1] += arguments
    assert parser.calls == len(calls)
    return text, reasoning, [(name, arguments) for name, arguments in calls]


HERMES_LOOK = '<tool_call>\n{"name": "look", "arguments": {"at": "a } \\" {"}}\n</tool_call>'
LOOK = ("look", '{"at": "a } \\" {"}')
ADD = ("add", '{"a":1, "b":{"c":[]}}')

READ: dict[str, tuple[AnswerSyntax, str, Read]] = {
    "text": (HERMES, "Just <b>text</b>.\n", ("Just <b>text</b>.\n", "", [])),
    "nothing": (HERMES, "", ("", "", [])),
    "one call": (HERMES, HERMES_LOOK, ("", "", [LOOK])),
    "text before a call": (HERMES, f"I look.\n\n{HERMES_LOOK}\n", ("I look.", "", [LOOK])),
    "two calls": (
        HERMES,
        f'{HERMES_LOOK}\n<tool_call>{{"name":"add","arguments":{ADD[1]}}}</tool_call>',
        ("", "", [LOOK, ADD]),
    ),
    "thought, text and a call": (
        HERMES,
        f"\n<think>\nHm <b>.\n</think>\n\nYes.\n{HERMES_LOOK}",
        ("Yes.", "Hm <b>.", [LOOK]),
    ),
    "an unfinished thought": (HERMES, "<think>Hm </thin", ("", "Hm </thin", [])),
    "an empty thought": (HERMES, "<think>\n\n</think>\n\nYes", ("Yes", "", [])),
    "a thought in the middle is text": (HERMES, "No <think>Hm</think>", ("No <think>Hm</think>", "", [])),
    "a call within a thought is thought": (HERMES, f"<think>{HERMES_LOOK}</think>", ("", HERMES_LOOK, [])),
    "a closing brace too few": (
        HERMES,
        '<tool_call>{"name":"look","arguments":{"at":1}</tool_call>Then.',
        ("Then.", "", [("look", '{"at":1}')]),
    ),
    "arguments first": (
        HERMES,
        '<tool_call>{"arguments": {"at": 1}, "name": "look"}</tool_call>',
        ("", "", [("look", '{"at": 1}')]),
    ),
    "arguments as text": (
        HERMES,
        '<tool_call>{"name": "look", "arguments": "{\\"at\\": 1}"}</tool_call>',
        ("", "", [("look", '{"at": 1}')]),
    ),
    "no arguments": (HERMES, '<tool_call>{"name": "look"}</tool_call>', ("", "", [("look", "{}")])),
    "an unknown tool": (
        HERMES,
        'A <tool_call>{"name": "rm", "arguments": {}}</tool_call> B',
        ('A <tool_call>{"name": "rm", "arguments": {}}</tool_call> B', "", []),
    ),
    "no object": (HERMES, "<tool_call>look(1)</tool_call>", ("<tool_call>look(1)</tool_call>", "", [])),
    "cut before the arguments": (HERMES, 'A\n<tool_call>{"name": "lo', ('A\n<tool_call>{"name": "lo', "", [])),
    "cut in the arguments": (
        HERMES,
        '<tool_call>{"name": "look", "arguments": {"at": "a',
        ("", "", [("look", '{"at": "a')]),
    ),
    "a call after what is none": (HERMES, f"<tool_call>no {HERMES_LOOK}", ("<tool_call>no", "", [LOOK])),
    "no calls are looked for": (
        AnswerSyntax(),
        f"<think>a</think>{HERMES_LOOK}",
        (f"<think>a</think>{HERMES_LOOK}", "", []),
    ),
    "thought was begun by the prompt": (
        AnswerSyntax("hermes", thinks=True, begun="<think>"),
        "\nHm\n</think>\n\nYes",
        ("Yes", "Hm", []),
    ),
    "an object": (LLAMA3, '{"name": "look", "parameters": {"at": 1}}', ("", "", [("look", '{"at": 1}')])),
    "two objects": (
        LLAMA3,
        f' {{"name": "look", "parameters": {{}}}}; {{"name": "add", "parameters": {ADD[1]}}}',
        ("", "", [("look", "{}"), ADD]),
    ),
    "a marked object": (
        LLAMA3,
        '<|python_tag|>{"type": "function", "name": "look", "parameters": {"at": 1}}',
        ("", "", [("look", '{"at": 1}')]),
    ),
    "code": (LLAMA3, "<|python_tag|>print(1)", ("<|python_tag|>print(1)", "", [])),
    "JSON that is no call": (LLAMA3, '{"answer": {"name": 1}}\n', ('{"answer": {"name": 1}}\n', "", [])),
    "an object in text": (
        LLAMA3,
        'See {"name": "look", "parameters": {}}',
        ('See {"name": "look", "parameters": {}}', "", []),
    ),
    "a list": (
        MISTRAL,
        '[TOOL_CALLS] [{"name": "look", "arguments": {}, "id": "123456789"}, '
        f'{{"name": "add", "arguments": {ADD[1]}}}]',
        ("", "", [("look", "{}"), ADD]),
    ),
    "by name": (
        MISTRAL,
        f"Well. [TOOL_CALLS]get-weather[CALL_ID]a1B[ARGS] {{}}[TOOL_CALLS]add{ADD[1]}",
        ("Well.", "", [("get-weather", "{}"), ADD]),
    ),
    "an empty list": (MISTRAL, "[TOOL_CALLS][]", ("[TOOL_CALLS][]", "", [])),
    "the mark was begun by the prompt": (
        AnswerSyntax("mistral", begun="[TOOL_CALLS]"),
        '[{"name": "look", "arguments": {}}]',
        ("", "", [("look", "{}")]),
    ),
}


@pytest.mark.parametrize(("syntax", "answer", "expected"), READ.values(), ids=READ)
def test_an_answer_is_read_whole_and_by_letters(syntax: AnswerSyntax, answer: str, expected: Read) -> None:
    assert read(answer, syntax) == expected
    assert read(list(answer), syntax) == expected


FRAGMENTS = [
    *("<tool_call>", "</tool_call>", "<think>", "</think>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>"),
    *('{"name": "look", "arguments": {', '"parameters": {"a": 1}', '"arguments": "{}"', "look", "{", "}", "[", "]"),
    *('"', "\\", ",", ";", ":", " ", "\n", "Hm", "<", "tool", "ß", "{}", '{"name": "add"', HERMES_LOOK),
]


@given(
    st.sampled_from(["hermes", "llama3", "mistral", None]),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join),
    st.lists(st.integers(0, 100), max_size=6),
)
def test_any_pieces_say_the_same(
    calls: CallSyntax | None, thinks: bool, parallel: bool, answer: str, cuts: list[int]
) -> None:
    syntax = AnswerSyntax(calls, thinks)
    places = sorted({0, *(cut % (len(answer) + 1) for cut in cuts), len(answer)})
    pieces = [answer[start:stop] for start, stop in pairwise(places)]
    whole = read(answer, syntax, parallel=parallel)
    assert read(pieces, syntax, parallel=parallel) == whole
    assert read(list(answer), syntax, parallel=parallel) == whole
    assert parallel or len(whole[2]) <= 1


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12) | st.integers() | st.lists(st.text(max_size=5))))
def test_arguments_arrive_exactly_as_they_were_written(arguments: dict[str, object]) -> None:
    written = json.dumps(arguments, ensure_ascii=False, indent=1)
    call = f'<tool_call>{{"name": "look", "arguments": {written}}}</tool_call>'
    assert read(list(call), HERMES)[2] == [("look", written)]


def test_text_is_not_held_back_without_need() -> None:
    parser = AnswerParser(HERMES, NAMES)
    shown = [event for piece in ("Hello", " wor", "ld <", "b>") for event in parser.feed(piece)]
    assert shown == [Text("Hello"), Text(" wor"), Text("ld"), Text(" <b>")]


def test_arguments_are_shown_as_they_come() -> None:
    parser = AnswerParser(HERMES, NAMES, new_id=lambda: "id")
    parser.feed('<tool_call>{"name": "look", "arguments": ')
    assert parser.feed('{"at": ') == [CallBegun(0, "id", "look"), CallArguments(0, '{"at": ')]
    assert parser.feed('"fox"') == [CallArguments(0, '"fox"')]


def test_a_second_call_is_dropped_where_one_is_allowed() -> None:
    assert read(HERMES_LOOK * 2, HERMES, parallel=False) == ("", "", [LOOK])
