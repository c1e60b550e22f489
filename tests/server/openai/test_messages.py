"""A conversation that is wrong is refused with the place of the mistake."""

from __future__ import annotations

from typing import Any

import pytest

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
        ({"role": "user", "content": "x", "name": "bob"}, "messages[0].name"),
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
