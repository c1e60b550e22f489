"""Items of conversations, and the messages that come of them."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from myna.chat import Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from myna.errors import InvalidParameter, RequestError, UnsupportedParameter
from myna.server.openai.responses.items import TOKENS, check_calls, parse_items, public
from myna.server.openai.responses.prompt import SAID, SUMMARY, to_messages

CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
USER = {"role": "user", "content": "Hi"}
WORDS = [
    "type", "role", "content", "text", "id", "status", "call_id", "name", "arguments", "output", "summary", "phase",
    "encrypted_content",
]  # fmt: skip
KINDS = ["message", "function_call", "function_call_output", "reasoning", "compaction", "item_reference", "input_text"]


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def test_a_text_is_a_users_message() -> None:
    (item,) = parse_items("Hi")
    assert item.pop("id").startswith("msg_")
    assert item == {
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "Hi"}],
    }


def test_every_kind_becomes_what_it_means() -> None:
    items = parse_items(
        [
            {"role": "developer", "content": "Be brief."},
            USER,
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
            CALL,
            RESULT,
            said("It rains."),
            {"role": "user", "content": [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"}]},
        ]
    )
    assert to_messages(items, "You are a bird.") == (
        Message.of("system", "You are a bird.\n\nBe brief."),
        Message.of("user", "Hi"),
        Message("assistant", (ReasoningPart("Hm."), ToolCallPart("call_1", "weather", '{"city": "Oslo"}'))),
        Message("tool", (ToolResultPart("call_1", "rain"),)),
        Message.of("assistant", "It rains."),
        Message("user", (TextPart("A"), TextPart("B"))),
    )


def test_two_answers_in_a_row_stay_two() -> None:
    assert to_messages(parse_items([said("A"), said("B")])) == (
        Message.of("assistant", "A"),
        Message.of("assistant", "B"),
    )


def test_what_is_said_beside_calls_is_one_message() -> None:
    (message,) = to_messages(parse_items([said("Wait."), CALL, {**CALL, "call_id": "call_2"}, said("Done.")]))
    assert message.text == "Wait.Done."
    assert [call.id for call in message.calls] == ["call_1", "call_2"]


def test_thoughts_without_an_answer_are_left_out() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    assert to_messages(parse_items([USER, thought, USER])) == (Message.of("user", "Hi"), Message.of("user", "Hi"))


def test_a_compaction_is_a_summary() -> None:
    items = parse_items([{"type": "compaction", "encrypted_content": "They met."}, USER])
    assert to_messages(items, "Be brief.") == (
        Message.of("system", f"Be brief.\n\n{SUMMARY}They met."),
        Message.of("user", "Hi"),
    )


def test_a_compaction_keeps_what_the_user_said() -> None:
    asked = [{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}]
    items = parse_items([*asked, {"type": "compaction", "encrypted_content": "They met."}, USER])
    assert to_messages(items) == (
        Message.of("system", f"{SUMMARY}They met.\n\n{SAID}One\nTwo"),
        Message.of("user", "Hi"),
    )


def test_generated_tokens_are_fed_back_and_never_shown() -> None:
    (item,) = parse_items([said("Hello")])
    item[TOKENS] = {"ids": [4, 5], "tokenizer": "words"}
    assert to_messages([item])[0].parts == (TextPart("Hello", (4, 5), "words"),)
    assert TOKENS not in public(item)
    with pytest.raises(InvalidParameter, match="Unknown parameter"):
        parse_items([item])


def test_answers_come_back_as_they_went() -> None:
    """What the official client adds, and fields that are null, are no fault."""
    (item,) = parse_items([{**said("Hello"), "id": "msg_1", "status": "incomplete", "phase": None, "parsed": {}}])
    assert (item["id"], item["status"], item["content"][0]["text"]) == ("msg_1", "incomplete", "Hello")
    assert parse_items([item]) == [item]
    assert parse_items([{**CALL, "id": "fc_1", "parsed_arguments": {"city": "Oslo"}}])[0]["name"] == "weather"


@pytest.mark.parametrize("value", [{"id": "msg_1"}, {"id": "msg_1", "type": "item_reference"}])
def test_references_stay_for_the_store(value: dict[str, Any]) -> None:
    assert parse_items([value]) == [{"id": "msg_1", "type": "item_reference"}]


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (7, "input"),
        (["Hi"], "input[0]"),
        ([USER, {"type": "music"}], "input[1].type"),
        ([{"content": "Hi"}], "input[0].role"),
        ([{"role": "tool", "content": "Hi"}], "input[0].role"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": 3}], "input[0].content"),
        ([{"role": "user", "content": ["Hi"]}], "input[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "input[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "video"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": "half \ud800"}], "input[0].content"),
        ([{"role": "user", "content": [{"type": "input_text", "text": "Hi", "x": 1}]}], "input[0].content[0].x"),
        ([{**USER, "name": "Ann"}], "input[0].name"),
        ([{**USER, "status": "done"}], "input[0].status"),
        ([{**USER, "id": "../etc"}], "input[0].id"),
        ([{**USER, "id": "a"}, {**USER, "id": "a"}], "input[1].id"),
        ([{**said("A"), "phase": "loud"}], "input[0].phase"),
        ([{**CALL, "call_id": ""}], "input[0].call_id"),
        ([{**CALL, "arguments": {}}], "input[0].arguments"),
        ([{**RESULT, "output": None}], "input[0].output"),
        ([{"type": "reasoning", "summary": "x"}], "input[0].summary"),
        ([{"type": "compaction"}], "input[0].encrypted_content"),
    ],
)
def test_mistakes_are_named_by_their_place(value: Any, param: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        parse_items(value)
    assert error.value.param == param
    assert param in error.value.message


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([{"type": "web_search_call", "id": "ws_1"}], "input[0].type"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}], "input[0].content[0].type"),
        ([{**RESULT, "output": [{"type": "input_file", "file_id": "x"}]}], "input[0].output[0].type"),
        ([{**CALL, "namespace": "crm"}], "input[0].namespace"),
        ([{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}], "input[0].encrypted_content"),
    ],
)
def test_what_is_not_available_says_why(value: Any, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as error:
        parse_items(value)
    assert error.value.param == param


def test_calls_and_results_belong_together() -> None:
    call, result, user = parse_items([CALL]), parse_items([RESULT]), parse_items([USER])
    check_calls([], [*call, *result])
    check_calls(call, result)
    check_calls([*call, *parse_items([said("Wait.")])], result)
    for before, given, param in (
        ([], result, "input[0].call_id"),
        ([], call, "input"),
        ([], [*call, *call], "input[1].call_id"),
        (call, user, "input"),
        ([*call, *result], result, "input[0].call_id"),
        ([*call, *user], result, "input"),
    ):
        with pytest.raises(InvalidParameter) as error:
            check_calls(before, given)
        assert error.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([*KINDS, "user", "completed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(), inner, max_size=4),
    max_leaves=8,
)
ITEM = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(WORDS[1:]), JSON, min_size=1),
)


@hypothesis.given(JSON | st.lists(ITEM | JSON, max_size=3))
def test_whatever_is_sent_is_read_or_refused(value: Any) -> None:
    try:
        items = parse_items(value)
        check_calls([], items)
    except RequestError as error:
        named = error.param or ""
    else:
        named = "input"
        assert parse_items(items) == items
        to_messages(item for item in items if item["type"] != "item_reference")
    assert named.startswith("input")
