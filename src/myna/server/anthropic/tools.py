"""The messages API's tools: which there are, which is to be used, and how their uses and results follow each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from myna.chat import Message, Tool, ToolCallPart, ToolResultPart
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt
from myna.server.openai.texts import check_text
from myna.server.openai.tools import TOOL_NAME, ToolUse, read_tools


def parse_tool_use(tools: list[Any], choice: dict[str, Any] | None) -> ToolUse:
    """What ``tools`` and ``tool_choice`` ask for.

    Raises:
        InvalidParameter: one of them is malformed, two tools have one name, or one is chosen that is not there.
        UnsupportedParameter: a tool that Anthropic runs.
    """
    read = read_tools(tools, _tool, "name")
    kind = "auto" if choice is None else choice.get("type")
    if kind == "none" or (kind == "auto" and not read):
        return ToolUse()
    use = ToolUse(tuple(read.values()), parallel=choice is None or choice.get("disable_parallel_tool_use") is not True)
    if kind == "auto":
        return use
    if kind == "any" and read:
        return replace(use, must_call=True)
    name = choice.get("name") if choice is not None else None
    if kind == "tool" and isinstance(name, str) and name in read:
        return ToolUse((read[name],), must_call=True, parallel=False)
    raise InvalidParameter(
        "'tool_choice' must be of type auto, any or none, or of type tool with the name of one; "
        f"got {excerpt(choice)}.",
        param="tool_choice",
    )


def parse_use(block: dict[str, Any], where: str) -> ToolCallPart:
    """A use of a tool, as the model asked for it before. Raises InvalidParameter."""
    match block:
        case {"id": str(call_id), "name": str(name), "input": dict(arguments)} if TOOL_NAME.fullmatch(name):
            return ToolCallPart(check_text(call_id, where), name, json.dumps(arguments))
    raise InvalidParameter(f"'{where}' must have an id, a tool's name and an input; got {excerpt(block)}.", param=where)


def result_id(block: dict[str, Any], where: str) -> str:
    """Which use a result is of. Raises InvalidParameter."""
    if not isinstance(block.get("tool_use_id"), str):
        raise InvalidParameter(f"Missing required parameter: '{where}.tool_use_id'.", param=f"{where}.tool_use_id")
    return check_text(block["tool_use_id"], f"{where}.tool_use_id")


def check_uses(messages: Sequence[Message]) -> None:
    """Raise InvalidParameter unless every use is followed by its result, and every result has its use."""
    waiting: list[str] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                if part.call_id not in waiting:
                    raise InvalidParameter(
                        f"The tool_result {excerpt(part.call_id)} is of no tool_use right before it.", param="messages"
                    )
                waiting.remove(part.call_id)
        if waiting and message.role != "tool":
            break
        waiting += [call.id for call in message.calls]
    if waiting:
        raise InvalidParameter(
            f"The tool_use {excerpt(waiting[0])} has no tool_result right after it.", param="messages"
        )


def _tool(tool: Any, where: str) -> Tool:
    if isinstance(tool, dict) and tool.get("type", "custom") != "custom":
        raise UnsupportedParameter(f"'{where}.type' {excerpt(tool['type'])} is run by Anthropic alone.", param=where)
    match tool:
        case {"name": str(name), "input_schema": dict(schema)} if TOOL_NAME.fullmatch(name):
            description = tool.get("description") or ""
            if isinstance(description, str):
                check_text(description, f"{where}.description")
                return Tool(name, description, schema, strict=tool.get("strict") is True)
    raise InvalidParameter(
        f"'{where}' must have a name of up to 64 letters, digits, _ and -, and an input_schema; got {excerpt(tool)}.",
        param=where,
    )
