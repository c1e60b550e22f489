"""Answers that call tools as grammars: the model's own way to write calls, around the schemas of the arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from myna.chat import Tool
from myna.engine.grammar_source import JSON_OPTIONS
from myna.engine.request import Grammar
from myna.errors import InvalidParameter
from myna.models.dialects.answer import CALL_END, CALL_MARKS, THINK, AnswerSyntax

MAX_CALLS = 8
"""Calls in an answer that has to be calls: small models would not stop."""


def answer_grammar(
    syntax: AnswerSyntax,
    tools: Sequence[Tool],
    *,
    must_call: bool,
    parallel: bool,
    otherwise: Grammar | None,
    is_control: Callable[[str], bool],
) -> Grammar | None:
    """What an answer has to be that may call tools; None if it may be anything.

    Args:
        syntax: how the model writes calls.
        tools: what may be called.
        must_call: the answer has to be calls.
        parallel: it may be several.
        otherwise: what an answer without calls has to be.
        is_control: whether a mark is a control token, which no text that a grammar describes can contain.

    Raises:
        InvalidParameter: ``otherwise`` cannot be combined with calls.
    """
    if not tools or syntax.calls is None:
        return otherwise
    calls = _calls(syntax, tools, parallel)
    if must_call:
        thought = '/[^<]*/ "</think>" /\\s{0,2}/ ' if syntax.begun == THINK else ""
        return Grammar("calls", f"start: {thought}calls\n{calls}", "tools")
    if otherwise is not None:
        if otherwise.kind not in ("json_object", "json_schema"):
            raise InvalidParameter(
                "'grammar' cannot be combined with 'tools', unless 'tool_choice' is none or required.",
                param=otherwise.param,
            )
        schema = json.loads(otherwise.source) if otherwise.kind == "json_schema" else {"type": "object"}
        body = f"body: %json {_schema(schema if isinstance(schema, dict) else {}, is_strict=True)}"
        return Grammar("calls", f"start: calls | body\n{body}\n{calls}", "tools")
    if not any(tool.strict for tool in tools) or any(is_control(mark) for mark in syntax.marks):
        return None
    if syntax.calls == "llama3":
        return Grammar("lark", f"start: calls | TEXT |\nTEXT: /[^\\s{{](?s:.*)/\n{calls}", "tools")
    if syntax.calls == "hermes":
        # A call begins where its mark stands, wherever that is.
        mark = CALL_MARKS["hermes"]
        rules = [
            f"start: (before call_after_mark){'*' if parallel else '?'} REST",
            f"before[lazy]: /(?s:.*){mark}/",
            f"REST: ~/(?s:.*){mark}(?s:.*)/",
            f"call_after_mark: {_either('marked', tools)}",
            *(f"marked_{i}: {_call_after_mark(tool, i)}" for i, tool in enumerate(tools)),
        ]
        return Grammar("lark", "\n".join([*rules, calls]), "tools")
    return None


def _calls(syntax: AnswerSyntax, tools: Sequence[Tool], parallel: bool) -> str:
    """Rules: ``calls``, what it consists of, and the arguments of each tool."""
    most = MAX_CALLS - 1
    match syntax.calls:
        case "llama3":
            rules = ["calls: call" + f' ("; " call){{0,{most}}}' * parallel]
            written = [_object(tool, i, "parameters") for i, tool in enumerate(tools)]
        case "mistral":
            opening = "" if syntax.begun == CALL_MARKS["mistral"] else f"{json.dumps(CALL_MARKS['mistral'])} "
            rules = [f'calls: {opening}"[" call' + f' (", " call){{0,{most}}}' * parallel + ' "]"']
            written = [_object(tool, i, "arguments") for i, tool in enumerate(tools)]
        case "hermes" | None:
            rules = ["calls: call" + f' ("\\n" call){{0,{most}}}' * parallel]
            mark = json.dumps(CALL_MARKS["hermes"])
            written = [f"{mark} {_call_after_mark(tool, i)}" for i, tool in enumerate(tools)]
    rules.append(f"call: {_either('call', tools)}")
    rules += [f"call_{i}: {each}" for i, each in enumerate(written)]
    for i, tool in enumerate(tools):
        parameters = {"properties": {}, "additionalProperties": False} | (tool.parameters or {})
        rules.append(f"arguments_{i}: %json {_schema(parameters, is_strict=tool.strict)}")
    return "\n".join(rules)


def _either(rule: str, tools: Sequence[Tool]) -> str:
    return " | ".join(f"{rule}_{i}" for i in range(len(tools)))


def _object(tool: Tool, index: int, arguments: str) -> str:
    opening = f'{{"name": {json.dumps(tool.name)}, "{arguments}": '
    return f'{json.dumps(opening)} arguments_{index} "}}"'


def _call_after_mark(tool: Tool, index: int) -> str:
    return f'"\\n" {_object(tool, index, "arguments")} {json.dumps(chr(10) + CALL_END)}'


def _schema(schema: dict[str, Any], *, is_strict: bool) -> str:
    """A schema for a grammar; one that is not strict is followed as far as it is understood."""
    return json.dumps({"type": "object"} | schema | {"x-guidance": JSON_OPTIONS | {"lenient": not is_strict}})
