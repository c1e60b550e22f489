"""A chat request's messages: read by hand, because a union of ten shapes explains a mistake badly."""

from __future__ import annotations

from typing import Any

from myna.chat import Message, Role, TextPart
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt, suggestion
from myna.server.limits import MAX_MESSAGE_PARTS, MAX_MESSAGES
from myna.server.openai.types import check_text

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""OpenAI's newer models call the system message the developer's."""
UNSUPPORTED_ROLES = ("tool", "function")
UNSUPPORTED_FIELDS = ("audio", "function_call", "name", "refusal", "tool_call_id", "tool_calls")
IGNORED_FIELDS = ("annotations", "reasoning_content")
"""In answers that clients send back as they came; they say nothing to the model."""
UNSUPPORTED_PARTS = ("file", "image_url", "input_audio", "refusal", "video_url")


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
    return tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, dict):
        raise InvalidParameter(
            f"'{where}' must be an object with role and content; got {excerpt(message)}.", param=where
        )
    fields = {name: value for name, value in message.items() if value is not None and value != []}
    role = _role(fields.pop("role", None), f"{where}.role")
    content = fields.pop("content", None)
    for name in fields:
        if name in UNSUPPORTED_FIELDS:
            raise UnsupportedParameter(f"'{where}.{name}' is not supported yet; leave it out.", param=f"{where}.{name}")
        if name not in IGNORED_FIELDS:
            hint = suggestion(name, ("role", "content"))
            raise InvalidParameter(f"Unknown parameter: '{where}.{name}'.{hint}", param=f"{where}.{name}")
    return Message(role, _parts(content, f"{where}.content"))


def _role(role: Any, where: str) -> Role:
    if role is None:
        raise InvalidParameter(f"Missing required parameter: '{where}'.", param=where)
    if isinstance(role, str) and role in ROLES:
        return ROLES[role]
    allowed = ", ".join(ROLES)
    if role in UNSUPPORTED_ROLES:
        raise UnsupportedParameter(f"'{where}' {role} is not supported yet; allowed are {allowed}.", param=where)
    raise InvalidParameter(f"Invalid value for '{where}': {excerpt(role)}; allowed are {allowed}.", param=where)


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
    if kind in UNSUPPORTED_PARTS:
        raise UnsupportedParameter(
            f"'{where}.type' {kind} is not supported yet; this model reads text only.", param=f"{where}.type"
        )
    if kind != "text":
        raise InvalidParameter(
            f"Invalid value for '{where}.type': {excerpt(kind)}; allowed is text.", param=f"{where}.type"
        )
    unknown = sorted(set(part) - {"type", "text"})
    if unknown:
        raise InvalidParameter(f"Unknown parameter: '{where}.{unknown[0]}'.", param=f"{where}.{unknown[0]}")
    if not isinstance(part.get("text"), str):
        raise InvalidParameter(
            f"'{where}.text' must be a text; got {excerpt(part.get('text'))}.", param=f"{where}.text"
        )
    return TextPart(check_text(part["text"], f"{where}.text"))


_EXAMPLE = '{"type": "text", "text": "…"}'
