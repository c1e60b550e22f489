"""Tools and reasoning in chat completions, with the official client: scripted answers in each model's own syntax."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from myna.chat import Message, ReasoningPart, TextPart, Tool, ToolCallPart, ToolResultPart
from myna.errors import InvalidParameter, RequestError, UnsupportedParameter
from myna.models.dialects.answer import AnswerSyntax
from myna.server.limits import MAX_SCHEMA_DEPTH, MAX_TOOLS
from myna.server.openai.messages import parse_messages
from myna.server.openai.tools import ToolUse, parse_tool_use
from tests.processes import Server
from tests.server.scripted import MODEL, ScriptedBackend

USER = {"role": "user", "content": "What is the weather in Oslo?"}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": PARAMETERS} | more}


WEATHER, CLOCK = function("weather", description="Tells the weather"), function("clock", parameters={})
TOOLS = [WEATHER, CLOCK]
ASKED = Tool("weather", "Tells the weather", PARAMETERS)
TIME = Tool("clock")

OSLO = '{"city": "Oslo", "unit": "C"}'
THOUGHT = AnswerSyntax("hermes", thinks=True)
NATIVE = {
    "hermes": (
        THOUGHT,
        [
            "<think>\n",
            "Hm.",
            "\n</think>\n\n",
            "I ask.",
            '\n<tool_call>\n{"name": "weather", ',
            '"arguments": {"city": ',
            ' "Oslo"',
            "}}\n</tool",
            '_call>\n<tool_call>{"name": "clock", "arguments": {}}</tool_call>',
        ],
        ("I ask.", "Hm.", [("weather", '{"city":  "Oslo"}'), ("clock", "{}")]),
    ),
    "llama3": (
        AnswerSyntax("llama3"),
        ['{"name": "wea', 'ther", "parameters": ', '{"city": "Oslo"', "}}"],
        (None, None, [("weather", '{"city": "Oslo"}')]),
    ),
    "mistral": (
        AnswerSyntax("mistral"),
        [
            "[TOOL_CALLS]",
            '[{"name": "weather", "arguments": {"city"',
            ': "Oslo"}}, {"name": "clock", "arguments": {}}]',
        ],
        (None, None, [("weather", '{"city": "Oslo"}'), ("clock", "{}")]),
    ),
    "no call": (THOUGHT, ["Rain", "y <b>."], ("Rainy <b>.", None, [])),
    "a broken call": (THOUGHT, ["<tool_call>", "{weather}"], ("<tool_call>{weather}", None, [])),
}


def seen(message: Any) -> tuple[str | None, str | None, list[tuple[str, str]]]:
    calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return message.content, getattr(message, "reasoning_content", None), calls


@pytest.fixture
def official(address: str) -> Any:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(("syntax", "answer", "expected"), NATIVE.values(), ids=NATIVE)
def test_the_official_client_sees_the_same_calls_whole_streamed_and_put_together(
    official: Any, backend: ScriptedBackend, syntax: AnswerSyntax, answer: list[str], expected: Any
) -> None:
    backend.syntax, backend.answer = syntax, answer
    request: dict[str, Any] = {"model": MODEL, "messages": [USER], "tools": TOOLS}
    reason = "tool_calls" if expected[2] else "stop"

    whole = official.chat.completions.create(**request).choices[0]
    assert seen(whole.message) == expected
    assert whole.finish_reason == reason
    ids = [call.id for call in whole.message.tool_calls or []]
    assert len(set(ids)) == len(expected[2])

    with official.chat.completions.stream(**request) as stream:
        events = list(stream)
        assembled = stream.get_final_completion().choices[0]
    content, _, calls = seen(assembled.message)
    assert ((content or None), calls) == (expected[0], expected[2])
    assert assembled.finish_reason == reason
    done = [(event.name, event.arguments) for event in events if event.type == "tool_calls.function.arguments.done"]
    assert done == expected[2]

    text, reasoning, begun = "", "", 0
    for chunk in official.chat.completions.create(**request, stream=True):
        delta = chunk.choices[0].delta
        text += delta.content or ""
        reasoning += getattr(delta, "reasoning_content", None) or ""
        begun += sum(call.id is not None for call in delta.tool_calls or [])
    assert (text or None, reasoning or None, begun) == (expected[0], expected[1], len(expected[2]))


async def test_arguments_arrive_piece_by_piece(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.syntax = AnswerSyntax("hermes")
    backend.answer = ['<tool_call>{"name": "weather", "arguments": ', '{"city": ', '"Oslo"}', "}</tool_call>"]
    response = await client.post(
        "/v1/chat/completions", json={"model": MODEL, "messages": [USER], "tools": TOOLS, "stream": True}
    )
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in response.text.split("\n\n") if "{" in line]
    pieces = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", [])]
    assert pieces == ["", '{"city": ', '"Oslo"}']


async def test_a_cut_call_ends_for_its_length(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.syntax = AnswerSyntax("hermes")
    backend.answer = ['<tool_call>{"name": "weather", "arguments": ', '{"city": ', '"Oslo"}']
    body = {"model": MODEL, "messages": [USER], "tools": TOOLS, "max_completion_tokens": 2}
    choice = (await client.post("/v1/chat/completions", json=body)).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": '


async def test_what_is_asked_reaches_the_engine(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    talk = [
        USER,
        {
            "role": "assistant",
            "reasoning_content": "Hm.",
            "content": "I ask.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": OSLO}},
                {"id": "c2", "type": "function", "function": {"name": "clock", "arguments": ""}},
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "10:"}, {"type": "text", "text": "00"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    response = await client.post(
        "/v1/chat/completions",
        json={"model": MODEL, "messages": talk, "tools": TOOLS, "tool_choice": "required"}
        | {"parallel_tool_calls": False, "reasoning_effort": "low"},
    )
    assert response.status_code == 200
    request = backend.requests[0]
    assert request.messages == (
        Message.of("user", USER["content"]),
        Message(
            "assistant",
            (
                ReasoningPart("Hm."),
                TextPart("I ask."),
                ToolCallPart("c1", "weather", OSLO),
                ToolCallPart("c2", "clock", ""),
            ),
        ),
        Message("tool", (ToolResultPart("c2", "10:00"),)),
        Message("tool", (ToolResultPart("c1", "rain"),)),
    )
    assert request.tools == (ASKED, TIME)
    assert (request.must_call, request.parallel_calls, request.reasoning_effort) == (True, False, "low")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolUse((ASKED, TIME))),
        ("auto", ToolUse((ASKED, TIME))),
        ("none", ToolUse()),
        ("required", ToolUse((ASKED, TIME), must_call=True)),
        ({"type": "function", "function": {"name": "clock"}}, ToolUse((TIME,), must_call=True, parallel=False)),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}},
            ToolUse((TIME,)),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CLOCK, WEATHER]}},
            ToolUse((ASKED, TIME), must_call=True),
        ),
    ],
)
def test_the_choice_of_tools(choice: Any, expected: ToolUse) -> None:
    assert parse_tool_use(TOOLS, choice, None) == expected


DEEP: dict[str, Any] = {}
for _ in range(MAX_SCHEMA_DEPTH):
    DEEP = {"type": "object", "properties": {"a": DEEP}}


@pytest.mark.parametrize(
    ("tools", "choice", "place"),
    [
        (["weather"], None, "tools[0]"),
        ([{"function": {"name": "a"}}], None, "tools[0]"),
        ([{"type": "function"}], None, "tools[0].function"),
        ([WEATHER | {"more": 1}], None, "tools[0].more"),
        ([function("a", more=1)], None, "tools[0].function.more"),
        ([function("")], None, "tools[0].function.name"),
        ([function("a b")], None, "tools[0].function.name"),
        ([function("a" * 65)], None, "tools[0].function.name"),
        ([function("<|im_end|>")], None, "tools[0].function.name"),
        ([CLOCK, CLOCK], None, "tools[1].function.name"),
        ([function("a", description=1)], None, "tools[0].function.description"),
        ([function("a", description="\ud800")], None, "tools[0].function"),
        ([function("a", strict="yes")], None, "tools[0].function.strict"),
        ([function("a", parameters="none")], None, "tools[0].function.parameters"),
        ([function("a", parameters={"type": "string"})], None, "tools[0].function.parameters"),
        ([function("a", parameters={"properties": []})], None, "tools[0].function.parameters.properties"),
        ([function("a", parameters={"required": "x"})], None, "tools[0].function.parameters.required"),
        ([function("a", parameters=DEEP)], None, "tools[0].function"),
        ([function(f"a{i}") for i in range(MAX_TOOLS + 1)], None, "tools"),
        (TOOLS, "always", "tool_choice"),
        (TOOLS, 1, "tool_choice"),
        (TOOLS, {"type": "function"}, "tool_choice"),
        (TOOLS, {"type": "function", "function": {"name": "rm"}}, "tool_choice.function.name"),
        (TOOLS, {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, "tool_choice"),
        (
            TOOLS,
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [function("rm")]}},
            "tool_choice.allowed_tools.tools[0].function.name",
        ),
        (
            TOOLS,
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": ["clock"]}},
            "tool_choice.allowed_tools.tools[0]",
        ),
        (None, "required", "tool_choice"),
    ],
)
def test_malformed_tools_are_refused_by_place(tools: Any, choice: Any, place: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_tool_use(tools, choice, None)
    assert caught.value.param == place
    assert place in caught.value.message


def test_only_functions_can_be_called() -> None:
    with pytest.raises(UnsupportedParameter):
        parse_tool_use([{"type": "custom", "custom": {"name": "a"}}], None, None)


def calling(*ids: Any, **more: Any) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "clock", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls} | more


def result(call_id: Any, content: Any = "x") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([result("a")], "messages[1].tool_call_id"),
        ([calling("a"), result("b")], "messages[2].tool_call_id"),
        ([calling("a"), result("a"), result("a")], "messages[3].tool_call_id"),
        ([calling("a"), result("a"), USER, result("a")], "messages[4].tool_call_id"),
        ([calling("a", "b"), result("a")], "messages[1].tool_calls"),
        ([calling("a"), USER], "messages[1].tool_calls"),
        ([calling("a"), calling("b"), result("b")], "messages[1].tool_calls"),
        ([calling("a", "a")], "messages[1].tool_calls[1].id"),
        ([calling(None)], "messages[1].tool_calls[0].id"),
        ([calling("")], "messages[1].tool_calls[0].id"),
        ([calling(tool_calls="clock")], "messages[1].tool_calls"),
        ([calling(tool_calls=["clock"])], "messages[1].tool_calls[0]"),
        (
            [calling(tool_calls=[{"id": "a", "function": {"name": "b"}}])],
            "messages[1].tool_calls[0].function.arguments",
        ),
        ([calling(tool_calls=[{"id": "a", "type": "x", "function": {}}])], "messages[1].tool_calls[0].type"),
        ([calling(tool_calls=[{"id": "a", "function": {}, "more": 1}])], "messages[1].tool_calls[0].more"),
        ([calling()], "messages[1].content"),
        ([calling("a"), result(None)], "messages[2].tool_call_id"),
        ([calling("a"), result(7)], "messages[2].tool_call_id"),
        ([calling("a"), result("a", None)], "messages[2].content"),
        ([USER | {"tool_calls": calling("a")["tool_calls"]}], "messages[1].tool_calls"),
        ([USER | {"tool_call_id": "a"}], "messages[1].tool_call_id"),
        ([{"role": "assistant", "content": "x", "reasoning_content": 1}], "messages[1].reasoning_content"),
    ],
)
def test_calls_and_results_that_do_not_belong_together_are_refused_by_place(messages: Any, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_messages([USER, *messages])
    assert caught.value.param == place


class Weather(BaseModel):
    """The weather somewhere."""

    city: str
    unit: str


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_the_real_model_calls_as_it_must(server: Server, choice: Any) -> None:
    tools: Any = [function("weather", description="Tells the weather", strict=True)]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        request: dict[str, Any] = {"model": "default", "messages": [USER], "tools": tools, "tool_choice": choice}
        request |= {"temperature": 0, "max_completion_tokens": 200, "parallel_tool_calls": False}
        answer = client.chat.completions.create(**request).choices[0]
        with client.chat.completions.stream(**request) as stream:
            list(stream)
            streamed = stream.get_final_completion().choices[0]
        assert answer.finish_reason == streamed.finish_reason == "tool_calls"
        (call,) = answer.message.tool_calls or []
        (again,) = streamed.message.tool_calls or []
        assert call.function.name == again.function.name == "weather"
        assert call.function.arguments == again.function.arguments
        arguments = json.loads(call.function.arguments)
        assert set(arguments) == {"city", "unit"}
        assert arguments["unit"] in ("C", "F")
        follow_up = [USER, answer.message, {"role": "tool", "tool_call_id": call.id, "content": "4 degrees, rain"}]
        said = client.chat.completions.create(model="default", messages=follow_up, tools=tools, max_tokens=20, seed=1)
        assert said.choices[0].message.content or said.choices[0].message.tool_calls


async def test_the_real_model_fills_in_a_class(server: Server) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        answer = await client.chat.completions.parse(
            model="default",
            messages=[{"role": "user", "content": "Weather in Oslo?"}],
            tools=[openai.pydantic_function_tool(Weather, name="weather")],
            tool_choice="required",
            parallel_tool_calls=False,
            temperature=0,
            max_completion_tokens=200,
        )
    (call,) = answer.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Weather)


def test_a_schema_that_cannot_be_followed_and_an_effort_that_cannot_be_made_are_refused(server: Server) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        request: dict[str, Any] = {"model": "default", "messages": [USER], "max_completion_tokens": 1}
        for more, param in (
            ({"tools": [function("a", parameters={"properties": {"x": {"type": "colour"}}}, strict=True)]}, "tools"),
            ({"reasoning_effort": "high"}, "reasoning_effort"),
        ):
            with pytest.raises(openai.BadRequestError) as caught:
                client.chat.completions.create(**request, **more)
            assert caught.value.param == param
