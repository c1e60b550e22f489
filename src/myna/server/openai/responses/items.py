"""Items of conversations: what the ``input`` of a response may hold, checked and in one shape.

Source: https://platform.openai.com/docs/api-reference/responses/create, ``input``. An item that came through here is
plain JSON with an id and a type, a message's content a list of parts. `tokens` of an item are those that the model
generated for its text: they are for the next turn alone, and `public` shows an item without them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt, suggestion
from myna.server.limits import MAX_MESSAGE_PARTS, MAX_MESSAGES
from myna.server.openai.texts import check_text

Item = dict[str, Any]

TOKENS = "_tokens"
"""Where an item keeps ``{"ids": […], "tokenizer": fingerprint}``; no field of this name can be sent."""

PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
    "compaction": "cmp",
}
"""How the ids of each type begin."""
INPUT_ROLES = ("user", "system", "developer")
STATUSES = ("in_progress", "completed", "incomplete")
UNSUPPORTED_PARTS = {
    "input_image": "this model reads text only",
    "input_file": "this model reads text only; send the file's text",
    "input_audio": "this model reads text only",
    "refusal": "models here write no refusals apart from text; send it as output_text",
}
HOSTED = "tools that run on the server are not available here; only functions can be called"
UNSUPPORTED_ITEMS = {
    "additional_tools": "send all tools as 'tools'",
    "apply_patch_call": HOSTED,
    "apply_patch_call_output": HOSTED,
    "code_interpreter_call": HOSTED,
    "compaction_trigger": "ask POST /v1/responses/compact for a compaction",
    "computer_call": HOSTED,
    "computer_call_output": HOSTED,
    "configuration_update": "send what is to change with each request",
    "custom_tool_call": "only functions can be called",
    "custom_tool_call_output": "only functions can be called",
    "file_search_call": HOSTED,
    "image_generation_call": HOSTED,
    "local_shell_call": HOSTED,
    "local_shell_call_output": HOSTED,
    "mcp_approval_request": HOSTED,
    "mcp_approval_response": HOSTED,
    "mcp_call": HOSTED,
    "mcp_list_tools": HOSTED,
    "program": HOSTED,
    "program_output": HOSTED,
    "shell_call": HOSTED,
    "shell_call_output": HOSTED,
    "tool_search_call": HOSTED,
    "tool_search_output": HOSTED,
    "web_search_call": HOSTED,
}
UNTOLD = ("annotations", "created_by", "logprobs", "parsed", "parsed_arguments", "prompt_cache_breakpoint")
"""Fields of items that clients send back as they came, or hints for a cache; they say nothing to the model."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def new_id(kind: str) -> str:
    """An id for an item of a type, which no other has."""
    return f"{PREFIXES[kind]}_{uuid.uuid4().hex}"


def public(item: Item) -> Item:
    """An item as clients may see it."""
    return {name: value for name, value in item.items() if name != TOKENS} if TOKENS in item else item


def parse_items(value: Any, where: str = "input") -> list[Item]:
    """Items from decoded JSON, each with its id; a text is a user's message.

    References to stored items (``item_reference``) stay as they are: whoever knows the store puts items in their place.

    Raises:
        InvalidParameter: an item that is malformed, by its place, or two with one id.
        UnsupportedParameter: an item, a part or a field that is not available here.
    """
    if isinstance(value, str):
        return [_message({"role": "user", "content": check_text(value, where)}, where)]
    if not isinstance(value, list) or len(value) > MAX_MESSAGES:
        raise InvalidParameter(
            f"'{where}' must be a text or an array of up to {MAX_MESSAGES} items; got {excerpt(value)}.", param=where
        )
    items = [_item(each, f"{where}[{index}]") for index, each in enumerate(value)]
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item["id"] in seen and item["type"] != "item_reference":
            place = f"{where}[{index}].id"
            raise InvalidParameter(f"'{place}' {item['id']} is another item's id already.", param=place)
        seen.add(item["id"])
    return items


def check_calls(before: Sequence[Item], given: Sequence[Item], where: str = "input") -> None:
    """See that every call has its result before anything else is said, and every result its call.

    Args:
        before: items that the given ones go on from.
        given: items of a request.
        where: what the request calls them.

    Raises:
        InvalidParameter: a result without a call, or a call without a result.
    """
    waiting: dict[str, None] = {}
    for index, item in enumerate([*before, *given], -len(before)):
        kind = item["type"]
        if kind == "function_call":
            if item["call_id"] in waiting:
                place = f"{where}[{index}].call_id" if index >= 0 else where
                raise InvalidParameter(
                    f"'{place}' {excerpt(item['call_id'])} is another call's id already.", param=place
                )
            waiting[item["call_id"]] = None
        elif kind == "function_call_output":
            if item["call_id"] not in waiting:
                place = f"{where}[{index}].call_id" if index >= 0 else where
                raise InvalidParameter(
                    f"'{place}' {excerpt(item['call_id'])} is none of the calls right before it, or one that has its "
                    "result already.",
                    param=place,
                )
            del waiting[item["call_id"]]
        elif waiting and kind != "reasoning" and item.get("role") != "assistant":
            break
    if waiting:
        raise InvalidParameter(
            f"No tool output found for function call {next(iter(waiting))}: a function_call_output must follow it in "
            f"'{where}'.",
            param=where,
        )


def _item(value: Any, where: str) -> Item:
    if not isinstance(value, dict):
        raise InvalidParameter(f"'{where}' must be an object such as {_EXAMPLE}; got {excerpt(value)}.", param=where)
    given = {name: part for name, part in value.items() if part is not None and name not in UNTOLD}
    kind = given.get("type")
    if kind is None:
        kind = "item_reference" if set(given) == {"id"} else "message"
    if isinstance(kind, str) and kind in UNSUPPORTED_ITEMS:
        raise UnsupportedParameter(
            f"'{where}.type' {kind} is not supported: {UNSUPPORTED_ITEMS[kind]}.", param=f"{where}.type"
        )
    if not isinstance(kind, str) or kind not in _READERS:
        raise InvalidParameter(
            f"Invalid value for '{where}.type': {excerpt(kind)}; allowed are {', '.join(_READERS)}.",
            param=f"{where}.type",
        )
    return _READERS[kind](given, where)


def _message(value: Item, where: str) -> Item:
    role = value.get("role")
    if role is None:
        raise InvalidParameter(f"Missing required parameter: '{where}.role'.", param=f"{where}.role")
    if role not in (*INPUT_ROLES, "assistant"):
        raise InvalidParameter(
            f"Invalid value for '{where}.role': {excerpt(role)}; allowed are {', '.join(INPUT_ROLES)}, assistant.",
            param=f"{where}.role",
        )
    own = ("role", "content", "phase") if role == "assistant" else ("role", "content")
    _check_fields(value, own, where)
    kind = "output_text" if role == "assistant" else "input_text"
    item = {
        "id": _id(value, "message", where),
        "type": "message",
        "role": role,
        "status": _status(value, where),
        "content": _content(value.get("content"), kind, f"{where}.content"),
    }
    if (phase := value.get("phase")) is not None:
        if phase not in ("commentary", "final_answer"):
            raise InvalidParameter(
                f"Invalid value for '{where}.phase': {excerpt(phase)}; allowed are commentary, final_answer.",
                param=f"{where}.phase",
            )
        item["phase"] = phase
    return item


def _content(content: Any, kind: str, where: str) -> list[Item]:
    """A message's parts, all of the kind that its role has; some clients name the other's and mean the same."""
    if content is None:
        raise InvalidParameter(f"Missing required parameter: '{where}'.", param=where)
    if isinstance(content, str):
        return [_text_part(check_text(content, where), kind)]
    if not isinstance(content, list) or len(content) > MAX_MESSAGE_PARTS:
        raise InvalidParameter(
            f"'{where}' must be a text or an array of up to {MAX_MESSAGE_PARTS} parts; got {excerpt(content)}.",
            param=where,
        )
    texts = _texts(content, ("input_text", "output_text", "text"), where)
    return [_text_part(text, kind) for text in texts]


def _text_part(text: str, kind: str) -> Item:
    part = {"type": kind, "text": text}
    return part | {"annotations": [], "logprobs": []} if kind == "output_text" else part


def _texts(parts: Sequence[Any], kinds: tuple[str, ...], where: str) -> list[str]:
    """What the parts of a list say. ``kinds`` are the types that they may have."""
    texts = []
    for index, part in enumerate(parts):
        place = f"{where}[{index}]"
        if not isinstance(part, dict):
            raise InvalidParameter(f"'{place}' must be an object with type and text; got {excerpt(part)}.", param=place)
        kind = part.get("type")
        if isinstance(kind, str) and kind in UNSUPPORTED_PARTS:
            raise UnsupportedParameter(
                f"'{place}.type' {kind} is not supported: {UNSUPPORTED_PARTS[kind]}.", param=f"{place}.type"
            )
        if kind not in kinds:
            raise InvalidParameter(
                f"Invalid value for '{place}.type': {excerpt(kind)}; allowed are {', '.join(kinds)}.",
                param=f"{place}.type",
            )
        for name, field in part.items():
            if name not in ("type", "text", *UNTOLD) and field is not None:
                raise InvalidParameter(f"Unknown parameter: '{place}.{name}'.", param=f"{place}.{name}")
        texts.append(_text(part, "text", place, may_be_empty=True))
    return texts


def _call(value: Item, where: str) -> Item:
    _check_fields(value, ("call_id", "name", "arguments", "caller", "namespace", "async"), where)
    _refuse_callers(value, where)
    return {
        "id": _id(value, "function_call", where),
        "type": "function_call",
        "status": _status(value, where),
        "call_id": _text(value, "call_id", where),
        "name": _text(value, "name", where),
        "arguments": _text(value, "arguments", where, may_be_empty=True),
    }


def _call_output(value: Item, where: str) -> Item:
    _check_fields(value, ("call_id", "output", "name", "caller", "namespace"), where)
    _refuse_callers(value, where)
    output = value.get("output")
    if isinstance(output, list) and len(output) <= MAX_MESSAGE_PARTS:
        texts = _texts(output, ("input_text", "output_text", "text"), f"{where}.output")
        output = [_text_part(text, "input_text") for text in texts]
    else:
        output = _text(value, "output", where, may_be_empty=True)
    return {
        "id": _id(value, "function_call_output", where),
        "type": "function_call_output",
        "status": _status(value, where),
        "call_id": _text(value, "call_id", where),
        "output": output,
    }


def _reasoning(value: Item, where: str) -> Item:
    _check_fields(value, ("summary", "content", "encrypted_content"), where)
    if value.get("encrypted_content"):
        raise UnsupportedParameter(
            f"'{where}.encrypted_content' cannot be read: thoughts here are in the clear, as 'content'. "
            "One from another service is of use there alone.",
            param=f"{where}.encrypted_content",
        )
    read: dict[str, list[Item]] = {}
    for name, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
        parts = value.get(name, [])
        if not isinstance(parts, list) or len(parts) > MAX_MESSAGE_PARTS:
            raise InvalidParameter(
                f"'{where}.{name}' must be an array of up to {MAX_MESSAGE_PARTS} parts; got {excerpt(parts)}.",
                param=f"{where}.{name}",
            )
        read[name] = [{"type": kind, "text": text} for text in _texts(parts, (kind,), f"{where}.{name}")]
    return {"id": _id(value, "reasoning", where), "type": "reasoning", "status": _status(value, where)} | read


def _compaction(value: Item, where: str) -> Item:
    _check_fields(value, ("encrypted_content",), where)
    content = _text(value, "encrypted_content", where)
    return {"id": _id(value, "compaction", where), "type": "compaction", "encrypted_content": content}


def _reference(value: Item, where: str) -> Item:
    _check_fields(value, (), where)
    return {"id": _text(value, "id", where), "type": "item_reference"}


_READERS: dict[str, Callable[[Item, str], Item]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _call_output,
    "reasoning": _reasoning,
    "compaction": _compaction,
    "item_reference": _reference,
}

_EXAMPLE = '{"role": "user", "content": "…"}'


def _check_fields(value: Item, own: Iterable[str], where: str) -> None:
    known = ("id", "type", "status", *own)
    for name in value:
        if name not in known:
            raise InvalidParameter(
                f"Unknown parameter: '{where}.{name}'.{suggestion(name, known)}", param=f"{where}.{name}"
            )


def _refuse_callers(value: Item, where: str) -> None:
    """Raise UnsupportedParameter for calls that programs of OpenAI's make, or that are not waited for."""
    for name, neutral in (("caller", {"type": "direct"}), ("namespace", ""), ("async", False)):
        if value.get(name, neutral) != neutral:
            raise UnsupportedParameter(
                f"'{where}.{name}' is not supported: functions are called by the model, one name each. Leave it out.",
                param=f"{where}.{name}",
            )


def _id(value: Item, kind: str, where: str) -> str:
    given = value.get("id")
    if given is None:
        return new_id(kind)
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise InvalidParameter(
            f"'{where}.id' must be 1 to 64 letters, digits, '_' or '-'; got {excerpt(given)}.", param=f"{where}.id"
        )
    return given


def _status(value: Item, where: str) -> str:
    status = value.get("status", "completed")
    if status not in STATUSES:
        raise InvalidParameter(
            f"Invalid value for '{where}.status': {excerpt(status)}; allowed are {', '.join(STATUSES)}.",
            param=f"{where}.status",
        )
    return str(status)


def _text(value: Item, name: str, where: str, *, may_be_empty: bool = False) -> str:
    text, place = value.get(name), f"{where}.{name}"
    if text is None:
        raise InvalidParameter(f"Missing required parameter: '{place}'.", param=place)
    if not isinstance(text, str) or not (text or may_be_empty):
        raise InvalidParameter(f"'{place}' must be a text; got {excerpt(text)}.", param=place)
    return check_text(text, place)
