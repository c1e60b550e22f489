"""A chat request's tools, and which of them are to be called."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from myna.chat import Tool
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt
from myna.server.limits import MAX_SCHEMA_DEPTH, MAX_TOOLS

TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Tools that may be called; ``must_call``: the answer has to be calls; ``parallel``: of several at once."""

    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    parallel: bool = True


def parse_tool_use(tools: list[Any] | None, choice: Any, parallel: bool | None) -> ToolUse:
    """What ``tools``, ``tool_choice`` and ``parallel_tool_calls`` ask for.

    Raises:
        InvalidParameter: one of them is malformed, two tools have one name, or a tool is chosen that is not there.
        UnsupportedParameter: a tool that is no function.
    """
    if not tools:
        if choice not in (None, "none", "auto"):
            raise InvalidParameter("'tool_choice' is allowed only with 'tools'.", param="tool_choice")
        if parallel is not None:
            raise InvalidParameter("'parallel_tool_calls' is allowed only with 'tools'.", param="parallel_tool_calls")
        return ToolUse()
    read = read_tools(tools, _tool, "function.name")
    return _choose(ToolUse(tuple(read.values()), parallel=parallel is not False), choice)


def read_tools(tools: list[Any], read: Callable[[Any, str], Tool], name: str) -> dict[str, Tool]:
    """Tools by their names, in the order in which they were given.

    Args:
        tools: of a request, of whichever API.
        read: makes a tool of one of them and its place in the request.
        name: where in each of them its name stands.

    Raises:
        InvalidParameter: there are too many, or two have one name.
        Whatever ``read`` raises.
    """
    if len(tools) > MAX_TOOLS:
        raise InvalidParameter(f"'tools' may hold {MAX_TOOLS} tools; got {len(tools)}.", param="tools")
    by_name: dict[str, Tool] = {}
    for index, each in enumerate(tools):
        tool = read(each, f"tools[{index}]")
        if tool.name in by_name:
            where = f"tools[{index}].{name}"
            raise InvalidParameter(f"'{where}' {tool.name} is another tool's name already.", param=where)
        by_name[tool.name] = tool
    return by_name


def _choose(use: ToolUse, choice: Any) -> ToolUse:
    match choice:
        case None | "auto":
            return use
        case "none":
            return ToolUse()
        case "required":
            return replace(use, must_call=True)
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolUse((named_tool(use.tools, name, "tool_choice.function.name"),), must_call=True, parallel=False)
        case {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto" | "required" as mode, "tools": [_, *_] as some},
        }:
            named = []
            for index, each in enumerate(some):
                where = f"tool_choice.allowed_tools.tools[{index}]"
                some_name = each["function"].get("name") if _is_function(each) else None
                if not isinstance(some_name, str):
                    raise InvalidParameter(
                        f'\'{where}\' must be {{"type": "function", "function": {{"name": …}}}}; got {excerpt(each)}.',
                        param=where,
                    )
                named.append(named_tool(use.tools, some_name, f"{where}.function.name"))
            allowed = tuple(tool for tool in use.tools if tool in named)
            return replace(use, tools=allowed, must_call=mode == "required")
    raise InvalidParameter(
        "'tool_choice' must be none, auto, required, a function such as "
        '{"type": "function", "function": {"name": "…"}}, or allowed_tools with a mode and tools; '
        f"got {excerpt(choice)}.",
        param="tool_choice",
    )


def named_tool(tools: tuple[Tool, ...], name: str, where: str) -> Tool:
    """The tool of this name. Raises InvalidParameter where there is none."""
    for tool in tools:
        if tool.name == name:
            return tool
    raise InvalidParameter(f"'{where}' {excerpt(name)} is the name of none of the 'tools'.", param=where)


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "function" and isinstance(value.get("function"), dict)


def _tool(value: Any, where: str) -> Tool:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise InvalidParameter(
            f"'{where}' must be an object with type and function; got {excerpt(value)}.", param=where
        )
    if value["type"] != "function":
        raise UnsupportedParameter(
            f"'{where}.type' {excerpt(value['type'])} is not supported; only functions can be called.",
            param=f"{where}.type",
        )
    _refuse_unknown(value, ("type", "function"), where)
    return read_function(value.get("function"), f"{where}.function")


def read_function(function: Any, where: str, *, strict_by_default: bool = False) -> Tool:
    """A function that may be called.

    Raises:
        InvalidParameter: it is malformed.
    """
    if not isinstance(function, dict):
        raise InvalidParameter(f"'{where}' must be an object with a name; got {excerpt(function)}.", param=where)
    function = {name: each for name, each in function.items() if each is not None}
    _refuse_unknown(function, ("name", "description", "parameters", "strict"), where)
    name: Any = function.get("name")
    description: Any = function.get("description", "")
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        raise InvalidParameter(
            f"'{where}.name' must be 1 to 64 letters, digits, '_' or '-'; got {excerpt(name)}.", param=f"{where}.name"
        )
    if not isinstance(description, str):
        raise InvalidParameter(
            f"'{where}.description' must be a text; got {excerpt(description)}.", param=f"{where}.description"
        )
    strict = function.get("strict", strict_by_default)
    if not isinstance(strict, bool):
        raise InvalidParameter(
            f"'{where}.strict' must be true or false; got {excerpt(strict)}.", param=f"{where}.strict"
        )
    parameters = function.get("parameters")
    _check_schema(parameters, f"{where}.parameters")
    _check_plain([description, parameters], where)
    return Tool(name, description, parameters or None, strict)


def _refuse_unknown(value: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in value:
        if name not in known:
            raise InvalidParameter(f"Unknown parameter: '{where}.{name}'.", param=f"{where}.{name}")


def _check_schema(schema: Any, where: str) -> None:
    if schema is None:
        return
    if not isinstance(schema, dict):
        raise InvalidParameter(f"'{where}' must be a JSON schema; got {excerpt(schema)}.", param=where)
    if schema and schema.get("type", "object") != "object":
        raise InvalidParameter(
            f"'{where}' must be the schema of an object; got the type {excerpt(schema['type'])}.", param=where
        )
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not all(isinstance(each, dict | bool) for each in properties.values()):
        raise InvalidParameter(f"'{where}.properties' must be an object of schemas.", param=f"{where}.properties")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise InvalidParameter(f"'{where}.required' must be a list of names.", param=f"{where}.required")


def _check_plain(value: Any, where: str) -> None:
    """Refuse what is nested too deeply to handle, and half characters, which no tokenizer knows."""
    level = [value]
    for _ in range(MAX_SCHEMA_DEPTH):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += [*each, *each.values()]
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, str) and not each.isascii() and any("\ud800" <= c <= "\udfff" for c in each):
                raise InvalidParameter(f"'{where}' holds half a character (an unpaired surrogate).", param=where)
        if not inner:
            return
        level = inner
    raise InvalidParameter(f"'{where}' is nested more than {MAX_SCHEMA_DEPTH} deep.", param=where)
