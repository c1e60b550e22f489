"""Which answers the grammars of calls allow, and that what they allow is read as calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llguidance import LLTokenizer

from myna.chat import Tool
from myna.engine.call_grammar import MAX_CALLS, answer_grammar
from myna.engine.grammar_source import new_matcher, reason_of
from myna.engine.request import Grammar
from myna.errors import InvalidParameter
from myna.models.dialects.answer import AnswerParser, AnswerSyntax, CallBegun

PLACE = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": False}
LOOK = Tool("look", "Look somewhere.", PLACE, strict=True)
NOW = Tool("now")
LOOSE = Tool("loose", "", {"type": "object", "properties": {"x": {"type": "number", "unheard_of": 3}}})
TOOLS = (LOOK, NOW, LOOSE)

HERMES, LLAMA3 = AnswerSyntax("hermes"), AnswerSyntax("llama3")
MISTRAL = AnswerSyntax("mistral", begun="[TOOL_CALLS]")
THINKING = AnswerSyntax("hermes", thinks=True, begun="<think>")


def grammar_of(syntax: AnswerSyntax, **more: Any) -> Grammar | None:
    options: dict[str, Any] = {"must_call": True, "parallel": True, "otherwise": None, "is_control": lambda _: False}
    return answer_grammar(syntax, TOOLS, **options | more)


def allows(grammar: Grammar | None, text: str) -> bool:
    assert grammar is not None
    matcher = new_matcher(LLTokenizer("byte"), grammar)
    assert reason_of(matcher) == ""
    for byte in text.encode():
        if not matcher.consume_token(byte):
            return False
    return matcher.is_accepting()


def called(name: str, arguments: str, key: str = "arguments") -> str:
    return f'{{"name": "{name}", "{key}": {arguments}}}'


def marked(name: str, arguments: str) -> str:
    return f"<tool_call>\n{called(name, arguments)}\n</tool_call>"


FOX = '{"at":"fox"}'


@pytest.mark.parametrize(
    ("syntax", "answer", "calls"),
    [
        (HERMES, marked("look", FOX), 1),
        (HERMES, marked("now", "{}") + "\n" + marked("loose", '{"x": 1.5}'), 2),
        (LLAMA3, called("look", FOX, "parameters"), 1),
        (LLAMA3, f"{called('now', '{}', 'parameters')}; {called('look', FOX, 'parameters')}", 2),
        (MISTRAL, f"[{called('look', FOX)}]", 1),
        (MISTRAL, f"[{called('look', FOX)}, {called('now', '{}')}]", 2),
        (THINKING, f"Hm.</think>\n\n{marked('now', '{}')}", 1),
    ],
)
def test_an_answer_that_must_call_is_calls_and_is_read_as_such(syntax: AnswerSyntax, answer: str, calls: int) -> None:
    assert allows(grammar_of(syntax), answer)
    assert allows(grammar_of(syntax, parallel=False), answer) == (calls == 1)
    parser = AnswerParser(syntax, [tool.name for tool in TOOLS])
    begun = [event for event in parser.feed(answer) if isinstance(event, CallBegun)]
    assert len(begun) == calls
    for no_call in ("Hello", "", answer.replace('"name"', '"title"'), answer.replace("now", "never").replace(FOX, "1")):
        assert not allows(grammar_of(syntax), no_call)


def test_arguments_fulfil_their_schema() -> None:
    for wrong in ('{"at":1}', "{}", '{"at":"fox","more":1}', '["fox"]'):
        assert not allows(grammar_of(HERMES), marked("look", wrong))
    assert not allows(grammar_of(HERMES), marked("now", '{"x":1}'))
    # What is not strict is followed as far as it is understood, and has no more than it names.
    assert not allows(grammar_of(HERMES), marked("loose", '{"y":1}'))


def test_calls_come_to_an_end() -> None:
    answer = "\n".join([marked("now", "{}")] * MAX_CALLS)
    assert allows(grammar_of(HERMES), answer)
    assert not allows(grammar_of(HERMES), f"{answer}\n{marked('now', '{}')}")


@pytest.mark.parametrize(
    ("syntax", "answer", "is_allowed"),
    [
        (HERMES, "Hello <b> <tool_", True),
        (HERMES, "", True),
        (HERMES, f"I look. {marked('look', FOX)} and\n{marked('now', '{}')} Done.", True),
        (HERMES, f"I look. {marked('look', '{}')}", False),
        (HERMES, "<tool_call>Hello", False),
        (LLAMA3, "Hello {", True),
        (LLAMA3, "", True),
        (LLAMA3, called("look", FOX, "parameters"), True),
        (LLAMA3, called("look", "{}", "parameters"), False),
    ],
)
def test_where_a_call_may_come_a_strict_one_is_held_to_its_schema(
    syntax: AnswerSyntax, answer: str, is_allowed: bool
) -> None:
    assert allows(grammar_of(syntax, must_call=False), answer) == is_allowed


def test_without_a_strict_tool_or_with_marks_that_no_text_has_an_answer_is_free() -> None:
    assert (
        answer_grammar(HERMES, [NOW], must_call=False, parallel=True, otherwise=None, is_control=lambda _: False)
        is None
    )
    assert grammar_of(HERMES, must_call=False, is_control=lambda mark: mark == "<tool_call>") is None
    assert grammar_of(AnswerSyntax(), must_call=False) is None


def test_an_answer_is_calls_or_the_form_that_was_asked_for() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    both = grammar_of(HERMES, must_call=False, otherwise=Grammar("json_schema", json.dumps(schema)))
    assert allows(both, '{"n": 1}')
    assert allows(both, marked("look", FOX))
    assert not allows(both, '{"n": "one"}')
    with pytest.raises(InvalidParameter, match="cannot be combined"):
        grammar_of(HERMES, must_call=False, otherwise=Grammar("regex", "a*"))
