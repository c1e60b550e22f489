"""A chat request's messages: read by hand, because a union of ten shapes explains a mistake badly."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from myna.chat import Message, Part, ReasoningPart, Role, TextPart, ToolCallPart, ToolResultPart
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt, suggestion
from myna.server.limits import MAX_MESSAGE_PARTS, MAX_MESSAGES, MAX_TOOL_CALLS
from myna.server.openai.texts import check_text

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
"""OpenAI's newer models call the system message the developer's."""
UNSUPPORTED_ROLES = {"function": "it is the deprecated form of tool"}
UNSUPPORTED_FIELDS = {
    "audio": "no model here speaks in a chat",
    "function_call": "it is the deprecated form of 'tool_calls'",
    "refusal": "models here write no refusals apart from text; send it as 'content'",
}
IGNORED_FIELDS = ("annotations", "parsed")
"""In answers that clients send back as they came; they say nothing to the model."""
IGNORED_PART_FIELDS = ("prompt_cache_breakpoint",)
"""Where a cache may end a prefix; here it ends at every block."""
OWN_FIELDS: dict[Role, tuple[str, ...]] = {
    "assistant": ("tool_calls", "reasoning_content"),
    "tool": ("tool_call_id",),
}
"""What messages of a role have beside role, content and name."""
UNSUPPORTED_PARTS = {
    "file": "this model reads text only; send the file's text",
    "image_url": "this model reads text only",
    "input_audio": "this model reads text only",
    "refusal": "models here write no refusals apart from text; send it as text",
    "video_url": "this model reads text only",
}


def parse_messages(messages: list[Any]) -> tuple[Message, ...]:
    """A conversation from decoded JSON.

    Raises:
        InvalidParameter: a message that is malformed, by its place.
        UnsupportedParameter: a role, field or part that is not available here.
    """
    if not 1 <= len(messages) <= MAX_MESSAGES:
        raise InvalidParameter(
            f"'messages' must hold 1 to {MAX_MESSAGES} messages; got {len(messages)}.", param="messages"
        )
    read = tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))
    _check_calls(read)
    return _attributed(read, [_name(message.get("name"), f"messages[{i}].name") for i, message in enumerate(messages)])


def _name(name: Any, where: str) -> str | None:
    if name is None or (isinstance(name, str) and _NAME.fullmatch(name)):
        return name and check_text(name, where)
    raise InvalidParameter(
        f"'{where}' must be 1 to 64 characters, without spaces and any of <|\\/>; got {excerpt(name)}.", param=where
    )


def _attributed(messages: tuple[Message, ...], names: list[str | None]) -> tuple[Message, ...]:
    """The messages, each begun with its name where several of one role have to be told apart.

    Templates know roles alone, so the name is text. A tool's message says nothing by it: the call has the name.
    """
    speakers: dict[Role, set[str | None]] = {}
    for message, name in zip(messages, names, strict=True):
        speakers.setdefault(message.role, set()).add(name)
    return tuple(
        message
        if name is None or message.role == "tool" or len(speakers[message.role]) == 1
        else _said_by(name, message)
        for message, name in zip(messages, names, strict=True)
    )


def _said_by(name: str, message: Message) -> Message:
    at = next((index for index, part in enumerate(message.parts) if isinstance(part, TextPart)), None)
    if at is None:
        return message
    return replace(message, parts=(*message.parts[:at], TextPart(f"{name}: "), *message.parts[at:]))


def _check_calls(messages: tuple[Message, ...]) -> None:
    """Raise InvalidParameter unless every call is answered right after it, and every result has its call."""
    waiting: list[str] = []
    caller = ""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        result = next((part for part in message.parts if isinstance(part, ToolResultPart)), None)
        if result is not None:
            if result.call_id not in waiting:
                raise InvalidParameter(
                    f"'{where}.tool_call_id' {excerpt(result.call_id)} is none of the calls right before it, or one "
                    "that has its result already.",
                    param=f"{where}.tool_call_id",
                )
            waiting.remove(result.call_id)
            continue
        if waiting:
            break
        waiting, caller = [call.id for call in message.calls], where
    if waiting:
        raise InvalidParameter(
            f"'{caller}.tool_calls' must be followed by a tool message for each call; there is none for "
            f"{excerpt(waiting[0])}.",
            param=f"{caller}.tool_calls",
        )


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, dict):
        raise InvalidParameter(
            f"'{where}' must be an object with role and content; got {excerpt(message)}.", param=where
        )
    fields = {name: value for name, value in message.items() if value is not None and value != []}
    role = _role(fields.pop("role", None), f"{where}.role")
    content = fields.pop("content", None)
    fields.pop("name", None)
    own = {name: fields.pop(name, None) for name in OWN_FIELDS.get(role, ())}
    for name in fields:
        if name in UNSUPPORTED_FIELDS:
            reason = UNSUPPORTED_FIELDS[name]
            raise UnsupportedParameter(
                f"'{where}.{name}' is not supported: {reason}. Leave it out.", param=f"{where}.{name}"
            )
        if name not in IGNORED_FIELDS:
            hint = suggestion(name, ("role", "content", "name", *own))
            raise InvalidParameter(f"Unknown parameter: '{where}.{name}'.{hint}", param=f"{where}.{name}")
    if role == "tool":
        call_id = _text(own["tool_call_id"], f"{where}.tool_call_id")
        said = _parts(content, f"{where}.content")
        return Message(role, (ToolResultPart(call_id, "".join(part.text for part in said)),))
    parts: list[Part] = []
    if own.get("reasoning_content") is not None:
        parts.append(ReasoningPart(_text(own["reasoning_content"], f"{where}.reasoning_content")))
    calls = _calls(own.get("tool_calls"), f"{where}.tool_calls")
    if content is not None or not calls:
        parts += _parts(content, f"{where}.content")
    return Message(role, (*parts, *calls))


def _role(role: Any, where: str) -> Role:
    if role is None:
        raise InvalidParameter(f"Missing required parameter: '{where}'.", param=where)
    if isinstance(role, str) and role in ROLES:
        return ROLES[role]
    allowed = ", ".join(ROLES)
    if isinstance(role, str) and role in UNSUPPORTED_ROLES:
        raise UnsupportedParameter(
            f"'{where}' {role} is not supported: {UNSUPPORTED_ROLES[role]}. Allowed are {allowed}.", param=where
        )
    raise InvalidParameter(f"Invalid value for '{where}': {excerpt(role)}; allowed are {allowed}.", param=where)


def _calls(calls: Any, where: str) -> list[ToolCallPart]:
    if calls is None:
        return []
    if not isinstance(calls, list) or len(calls) > MAX_TOOL_CALLS:
        raise InvalidParameter(
            f"'{where}' must be an array of 1 to {MAX_TOOL_CALLS} calls; got {excerpt(calls)}.", param=where
        )
    read = [_call(call, f"{where}[{index}]") for index, call in enumerate(calls)]
    ids = [call.id for call in read]
    for index, call_id in enumerate(ids):
        if call_id in ids[:index]:
            place = f"{where}[{index}].id"
            raise InvalidParameter(f"'{place}' {excerpt(call_id)} is another call's id already.", param=place)
    return read


def _call(call: Any, where: str) -> ToolCallPart:
    if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
        raise InvalidParameter(
            f"'{where}' must be an object with id, type and function; got {excerpt(call)}.", param=where
        )
    if call.get("type", "function") != "function":
        raise InvalidParameter(
            f"Invalid value for '{where}.type': {excerpt(call['type'])}; allowed is function.", param=f"{where}.type"
        )
    function = call["function"]
    for value, known, place in (
        (call, ("id", "type", "function", "index"), where),
        # What the official client adds when it parses arguments comes back with them.
        (function, ("name", "arguments", "parsed_arguments"), f"{where}.function"),
    ):
        for name in value:
            if name not in known:
                raise InvalidParameter(f"Unknown parameter: '{place}.{name}'.", param=f"{place}.{name}")
    return ToolCallPart(
        _text(call.get("id"), f"{where}.id"),
        _text(function.get("name"), f"{where}.function.name"),
        _text(function.get("arguments"), f"{where}.function.arguments", may_be_empty=True),
    )


def _text(value: Any, where: str, *, may_be_empty: bool = False) -> str:
    if value is None:
        raise InvalidParameter(f"Missing required parameter: '{where}'.", param=where)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise InvalidParameter(f"'{where}' must be a text; got {excerpt(value)}.", param=where)
    return check_text(value, where)


def _parts(content: Any, where: str) -> tuple[TextPart, ...]:
    if isinstance(content, str):
        return (TextPart(check_text(content, where)),)
    if content is None:
        raise InvalidParameter(f"Missing required parameter: '{where}'.", param=where)
    if not isinstance(content, list) or len(content) > MAX_MESSAGE_PARTS:
        raise InvalidParameter(
            f"'{where}' must be a text or an array of 1 to {MAX_MESSAGE_PARTS} parts; got {excerpt(content)}.",
            param=where,
        )
    return tuple(_part(part, f"{where}[{index}]") for index, part in enumerate(content))


def _part(part: Any, where: str) -> TextPart:
    if not isinstance(part, dict):
        raise InvalidParameter(f"'{where}' must be an object such as {_EXAMPLE}; got {excerpt(part)}.", param=where)
    kind = part.get("type")
    if isinstance(kind, str) and kind in UNSUPPORTED_PARTS:
        raise UnsupportedParameter(
            f"'{where}.type' {kind} is not supported: {UNSUPPORTED_PARTS[kind]}.", param=f"{where}.type"
        )
    if kind != "text":
        raise InvalidParameter(
            f"Invalid value for '{where}.type': {excerpt(kind)}; allowed is text.", param=f"{where}.type"
        )
    unknown = sorted(set(part) - {"type", "text", *IGNORED_PART_FIELDS})
    if unknown:
        raise InvalidParameter(f"Unknown parameter: '{where}.{unknown[0]}'.", param=f"{where}.{unknown[0]}")
    if not isinstance(part.get("text"), str):
        raise InvalidParameter(
            f"'{where}.text' must be a text; got {excerpt(part.get('text'))}.", param=f"{where}.text"
        )
    return TextPart(check_text(part["text"], f"{where}.text"))


_NAME = re.compile(r"[^\s<|\\/>]{1,64}")
_EXAMPLE = '{"type": "text", "text": "…"}'
