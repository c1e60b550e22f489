"""A conversation that is wrong is refused with the place of the mistake."""

from __future__ import annotations

from typing import Any

import pytest

from myna.chat import Message, TextPart
from myna.errors import InvalidParameter, RequestError, UnsupportedParameter
from myna.server.limits import MAX_MESSAGES
from myna.server.openai.messages import parse_messages

USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("Hi", "messages[1]"),
        (None, "messages[1]"),
        ({}, "messages[1].role"),
        ({"role": "robot", "content": "x"}, "messages[1].role"),
        ({"role": ["user"], "content": "x"}, "messages[1].role"),
        ({"role": "user"}, "messages[1].content"),
        ({"role": "user", "content": None}, "messages[1].content"),
        ({"role": "user", "content": []}, "messages[1].content"),
        ({"role": "user", "content": 5}, "messages[1].content"),
        ({"role": "user", "content": {"text": "x"}}, "messages[1].content"),
        ({"role": "user", "content": "\udfff"}, "messages[1].content"),
        ({"role": "user", "content": ["x"]}, "messages[1].content[0]"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": [{"type": "text", "text": "\ud800"}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": [{"text": "x"}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": [{"type": {}, "text": "x"}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "more": 1}]}, "messages[1].content[0].more"),
        ({"role": "user", "content": "x", "contents": "y"}, "messages[1].contents"),
        ({"role": "user", "content": "x", "name": ""}, "messages[1].name"),
        ({"role": "user", "content": "x", "name": "a b"}, "messages[1].name"),
        ({"role": "user", "content": "x", "name": "<|im_start|>"}, "messages[1].name"),
        ({"role": "user", "content": "x", "name": "\ud800"}, "messages[1].name"),
        ({"role": "user", "content": "x", "name": "n" * 65}, "messages[1].name"),
        ({"role": "user", "content": "x", "name": ["bob"]}, "messages[1].name"),
    ],
)
def test_a_malformed_message_is_refused_by_place(message: Any, place: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_messages([USER, message])
    assert caught.value.param == place
    assert place in caught.value.message


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"role": "function", "content": "x", "name": "f"}, "messages[0].role"),
        ({"role": "assistant", "content": "x", "refusal": "no"}, "messages[0].refusal"),
        ({"role": "assistant", "content": "x", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": ""}}, "messages[0].function_call"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "messages[0].content[0].type"),
    ],
)
def test_what_is_not_available_yet_is_refused_by_place(message: Any, place: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        parse_messages([message])
    assert caught.value.param == place


@pytest.mark.parametrize("messages", [[], [USER] * (MAX_MESSAGES + 1)])
def test_the_number_of_messages_is_bounded(messages: list[Any]) -> None:
    with pytest.raises(RequestError, match="1 to"):
        parse_messages(messages)


def said(role: str, content: str, name: str | None = None) -> dict[str, Any]:
    return {"role": role, "content": content, "name": name}


def test_names_are_told_where_several_of_a_role_speak() -> None:
    read = parse_messages(
        [
            said("system", "Be kind.", "host"),
            said("user", "Hi", "ann"),
            said("assistant", "Hello"),
            said("user", "Bye", "ben"),
            said("user", "Well"),
        ]
    )
    assert [message.text for message in read] == ["Be kind.", "ann: Hi", "Hello", "ben: Bye", "Well"]
    assert read[1].parts == (TextPart("ann: "), TextPart("Hi"))


def test_the_name_of_the_only_speaker_changes_nothing() -> None:
    assert parse_messages(
        [said("user", "Hi", "ann"), said("assistant", "Hello", "bot"), said("user", "Bye", "ann")]
    ) == (
        Message.of("user", "Hi"),
        Message.of("assistant", "Hello"),
        Message.of("user", "Bye"),
    )


def test_a_call_needs_no_name_for_its_speaker() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    read = parse_messages(
        [
            said("assistant", "Hm", "one"),
            {"role": "assistant", "tool_calls": [call], "name": "two"},
            {"role": "tool", "tool_call_id": "c", "content": "nothing", "name": "look"},
        ]
    )
    assert read[0].text == "one: Hm"
    assert read[1].text == ""
