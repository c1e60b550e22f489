"""Tools as models are told of them: in the JSON of their own templates, or in plain words where they have none."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from myna.chat import Message, Part, TextPart, Tool
from myna.models.dialects.answer import CALL_END, CALL_MARKS, CallSyntax

OTHER_SYNTAX = ("<function=", "<arg_key>")
"""Arguments that are no JSON, although the calls around them are marked alike: Qwen's for code, GLM's."""


def native_syntax(template: str) -> CallSyntax | None:
    """How a model writes calls, to go by its template; None if the template knows no tools, or another way."""
    if not re.search(r"\btools\b", template) or "tool_call" not in template:
        return None
    if any(mark in template for mark in OTHER_SYNTAX):
        return None
    if "[TOOL_CALLS]" in template:
        return "mistral"
    if "<tool_call>" in template:
        return "hermes"
    if "<|python_tag|>" in template or ("<|start_header_id|>" in template and '"parameters"' in template):
        return "llama3"
    return None


def tool_json(tool: Tool) -> dict[str, Any]:
    """A tool in OpenAI's shape, which templates expect."""
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    function["parameters"] = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
    return {"type": "function", "function": function}


def without_tools(messages: Sequence[Message], tools: Sequence[Tool], *, in_system: bool = True) -> list[Message]:
    """The same conversation as text alone, in the form that Hermes models use.

    Tools are described in the system message, or in front of the first question unless ``in_system``; calls are text of
    the assistant's, and results of tools are the user's, who may say something more after them.
    """
    spoken: list[Message] = []
    for is_users, turns in groupby(messages, lambda message: message.role in ("user", "tool")):
        group = list(turns)
        if is_users and any(message.role == "tool" for message in group):
            parts = [part for message in group for part in (TextPart("\n"), *_told(message))]
            spoken.append(Message("user", tuple(parts[1:])))
        else:
            spoken += [Message(message.role, _told(message)) for message in group]
    if not tools:
        return spoken
    described = TextPart(_describe(tools))
    place = next((i for i, message in enumerate(spoken) if message.role == ("system" if in_system else "user")), None)
    if place is None:
        return [Message("system" if in_system else "user", (described,)), *spoken]
    host = spoken[place]
    told = [*host.parts, TextPart("\n\n"), described] if in_system else [described, TextPart("\n\n"), *host.parts]
    spoken[place] = Message(host.role, tuple(told))
    return spoken


def has_calls(messages: Sequence[Message]) -> bool:
    """Whether any tool was called."""
    return any(message.role == "tool" or message.calls for message in messages)


def _told(message: Message) -> tuple[Part, ...]:
    if message.role == "tool":
        return (TextPart(f"<tool_response>\n{message.text}\n</tool_response>"),)
    said = [part for part in message.parts if isinstance(part, TextPart)]
    for call in message.calls:
        written = f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {call.arguments or "{}"}}}'
        said.append(TextPart(f"{chr(10) if said else ''}{CALL_MARKS['hermes']}\n{written}\n{CALL_END}"))
    return tuple(said)


def _describe(tools: Sequence[Tool]) -> str:
    listed = "\n".join(json.dumps(tool_json(tool)["function"], ensure_ascii=False) for tool in tools)
    return (
        "You can call functions to help with the user's request. These are the functions, with the JSON schemas of "
        f"their arguments:\n<tools>\n{listed}\n</tools>\n"
        "To call a function, answer with its name and arguments as JSON, once for each call:\n"
        '<tool_call>\n{"name": "<function>", "arguments": {<arguments>}}\n</tool_call>\n'
        "The results are given to you between <tool_response> and </tool_response>. "
        "Answer without a call where no function helps."
    )
