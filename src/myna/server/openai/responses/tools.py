"""Tools of a response, which are flatter than a chat's: ``{"type": "function", "name": …}``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from myna.chat import Tool
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt
from myna.server.openai.tools import ToolUse, named_tool, read_function, read_tools

HOSTED_CHOICES = (
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "custom",
    "file_search",
    "image_generation",
    "mcp",
    "programmatic_tool_calling",
    "shell",
    "web_search_preview",
    "web_search_preview_2025_03_11",
)
NEUTRAL: dict[str, Any] = {"allowed_callers": ["direct"], "async": False, "defer_loading": False}
"""Fields of functions that only hosted tools give a meaning, with the values that ask for nothing."""


def parse_tools(tools: list[Any] | None, choice: Any, parallel: bool | None) -> ToolUse:
    """What ``tools``, ``tool_choice`` and ``parallel_tool_calls`` ask for.

    Raises:
        InvalidParameter: one of them is malformed, two tools have one name, or a tool is chosen that is not there.
        UnsupportedParameter: a tool that is no function.
    """
    if not tools:
        if choice not in (None, "none", "auto"):
            raise InvalidParameter("'tool_choice' is allowed only with 'tools'.", param="tool_choice")
        return ToolUse()
    read = read_tools(tools, _tool, "name")
    return _choose(ToolUse(tuple(read.values()), parallel=parallel is not False), choice)


def _tool(value: Any, where: str) -> Tool:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise InvalidParameter(f"'{where}' must be an object with type and name; got {excerpt(value)}.", param=where)
    if value["type"] != "function":
        raise UnsupportedParameter(
            f"'{where}.type' {excerpt(value['type'])} is not supported: tools that the server runs are not available "
            "here; only functions can be called.",
            param=f"{where}.type",
        )
    function = {name: part for name, part in value.items() if name != "type" and part is not None}
    for name, neutral in (*NEUTRAL.items(), ("output_schema", None)):
        if name in function and function.pop(name) != neutral:
            raise UnsupportedParameter(
                f"'{where}.{name}' is not supported: functions are called by the model, with all it is told of them "
                "at once. Leave it out.",
                param=f"{where}.{name}",
            )
    return read_function(function, where, strict_by_default=True)


def _choose(use: ToolUse, choice: Any) -> ToolUse:
    match choice:
        case None | "auto":
            return use
        case "none":
            return ToolUse()
        case "required":
            return replace(use, must_call=True)
        case {"type": "function", "name": str(name)}:
            return ToolUse((named_tool(use.tools, name, "tool_choice.name"),), must_call=True, parallel=False)
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": [_, *_] as some}:
            allowed = [_allowed(use.tools, each, f"tool_choice.tools[{index}]") for index, each in enumerate(some)]
            tools = tuple(tool for tool in use.tools if tool in allowed)
            return replace(use, tools=tools, must_call=mode == "required")
        case {"type": str(kind)} if kind in HOSTED_CHOICES:
            raise UnsupportedParameter(
                f"'tool_choice.type' {kind} is not supported: only functions can be called.", param="tool_choice.type"
            )
    raise InvalidParameter(
        "'tool_choice' must be none, auto, required, a function such as "
        '{"type": "function", "name": "…"}, or allowed_tools with a mode and tools; '
        f"got {excerpt(choice)}.",
        param="tool_choice",
    )


def _allowed(tools: tuple[Tool, ...], value: Any, where: str) -> Tool:
    match value:
        case {"type": "function", "name": str(name)}:
            return named_tool(tools, name, f"{where}.name")
    raise InvalidParameter(f'\'{where}\' must be {{"type": "function", "name": …}}; got {excerpt(value)}.', param=where)
