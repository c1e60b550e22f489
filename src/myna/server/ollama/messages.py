"""A conversation with tools in Ollama's shape: arguments are objects, and ids are left out as often as not."""

from __future__ import annotations

import json
from typing import Any

from myna.chat import Message, Part, ReasoningPart, Role, TextPart, Tool, ToolCallPart, ToolResultPart
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt
from myna.server.limits import MAX_MESSAGES, MAX_TOOL_CALLS
from myna.server.openai.texts import check_text
from myna.server.openai.tools import parse_tool_use

NO_IMAGES = "the models here read text only."
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_FUNCTION_FIELDS = ("name", "description", "parameters", "strict")


def parse_tools(tools: list[Any]) -> tuple[Tool, ...]:
    """The functions that may be called; what else stands in their descriptions is ignored, as the original does.

    Raises:
        InvalidParameter: one is malformed, or two have one name.
        UnsupportedParameter: a tool that is no function.
    """
    known = []
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict):
            kept = {name: function[name] for name in _FUNCTION_FIELDS if name in function}
            tool = {"type": tool.get("type", "function"), "function": kept}
        known.append(tool)
    return parse_tool_use(known, None, None).tools


def parse_messages(messages: list[dict[str, Any]]) -> tuple[Message, ...]:
    """What was said, called and answered.

    A call without an id is named by its place. A tool's answer belongs to the call whose id it has, else to the first
    that still waits: of the tool that it names, if it names one.

    Raises:
        InvalidParameter: a message is malformed, or answers no call.
        UnsupportedParameter: it holds images.
    """
    if len(messages) > MAX_MESSAGES:
        raise InvalidParameter(f"'messages' may hold {MAX_MESSAGES} messages; got {len(messages)}.", param="messages")
    read: list[Message] = []
    waiting: list[ToolCallPart] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role, content = _role(message, where), _text(message, "content", where)
        if role == "tool":
            call = _answered(message, waiting, where)
            waiting.remove(call)
            read.append(Message(role, (ToolResultPart(call.id, content),)))
            continue
        parts: list[Part] = []
        waiting = _calls(message.get("tool_calls"), f"{where}.tool_calls") if role == "assistant" else []
        if role == "assistant" and (thought := _text(message, "thinking", where)):
            parts.append(ReasoningPart(thought))
        if content or not waiting:
            parts.append(TextPart(content))
        read.append(Message(role, (*parts, *waiting)))
    return tuple(read)


def _role(message: dict[str, Any], where: str) -> Role:
    if message.get("images"):
        raise UnsupportedParameter(f"'{where}.images' is not supported: {NO_IMAGES}", param=f"{where}.images")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidParameter(
            f"Invalid value for '{where}.role': {excerpt(role)}; allowed are {', '.join(ROLES)}.", param=f"{where}.role"
        )
    return ROLES[role]


def _text(message: dict[str, Any], name: str, where: str) -> str:
    value = message.get(name) or ""
    if not isinstance(value, str):
        raise InvalidParameter(f"'{where}.{name}' must be a text; got {excerpt(value)}.", param=f"{where}.{name}")
    return check_text(value, f"{where}.{name}")


def _calls(calls: Any, where: str) -> list[ToolCallPart]:
    if not isinstance(calls or [], list) or len(calls or []) > MAX_TOOL_CALLS:
        raise InvalidParameter(f"'{where}' must be a list of up to {MAX_TOOL_CALLS} calls.", param=where)
    read = []
    for index, call in enumerate(calls or []):
        match call:
            case {"function": {"name": str(name), "arguments": dict(arguments)}} if name:
                stated = call.get("id")
                call_id = stated if isinstance(stated, str) and stated else f"{where}[{index}]"
                written = json.dumps(arguments, ensure_ascii=False)
                for text in (call_id, name, written):
                    check_text(text, f"{where}[{index}]")
                read.append(ToolCallPart(call_id, name, written))
            case _:
                raise InvalidParameter(
                    f"'{where}[{index}]' must have a function with a name and arguments as an object; "
                    f"got {excerpt(call)}.",
                    param=f"{where}[{index}]",
                )
    return read


def _answered(message: dict[str, Any], waiting: list[ToolCallPart], where: str) -> ToolCallPart:
    """The call that a tool's message answers."""
    call_id, name = message.get("tool_call_id"), message.get("tool_name") or message.get("name")
    for call in waiting:
        if call.id == call_id if call_id else name in (None, call.name):
            return call
    raise InvalidParameter(
        f"'{where}' answers no call: none {f'of the id {excerpt(call_id)} ' if call_id else ''}"
        f"{f'of {excerpt(name)} ' if name and not call_id else ''}is waiting in the assistant's message before it.",
        param=where,
    )
