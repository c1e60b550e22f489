"""Responses as clients see them: the official client on a socket, and the events themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from myna.chat import Message
from myna.engine.request import Grammar
from myna.errors import EngineBusy, EngineCrashed, StorageFull
from myna.models.dialects.answer import AnswerSyntax
from myna.store import responses as store_of_responses
from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL, ScriptedBackend

RESPONSES = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'


def body(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "input": "Hi"} | more


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream. Their names and numbers are what they should be, whatever they say."""
    read = []
    for number, frame in enumerate(text.removesuffix("\n\n").split("\n\n")):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event.pop("sequence_number") == number
        read.append(event)
    return read


def kinds(read: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in read]


@pytest.fixture
def official(stored_address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_official_client_asks(official: openai.OpenAI, backend: ScriptedBackend) -> None:
    answer = official.responses.create(model=MODEL, input="Say hello", instructions="Be brief.", metadata={"a": "b"})
    assert answer.output_text == "Hello there!"
    assert (answer.status, answer.model, answer.metadata) == ("completed", MODEL, {"a": "b"})
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (4, 3, 7)
    assert answer.usage.input_tokens_details.cached_tokens == 2
    assert backend.requests[0].messages == (Message.of("system", "Be brief."), Message.of("user", "Say hello"))
    Response.model_validate(answer.model_dump())  # every field has the type that the client knows


def test_the_official_client_streams(official: openai.OpenAI) -> None:
    with official.responses.stream(model=MODEL, input="Hi") as stream:
        seen = [event.type for event in stream]
        answer = stream.get_final_response()
    assert answer.output_text == "Hello there!"
    assert seen.count("response.output_text.delta") == 3
    stored = official.responses.retrieve(answer.id)
    assert (stored.output_text, stored.usage, stored.status) == (answer.output_text, answer.usage, "completed")


async def test_the_official_asynchronous_client_streams(stored_address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stored_address}/v1", api_key="none", max_retries=0) as client:
        stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
        said = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        assert "".join(said) == "Hello there!"


async def test_a_stream_has_openais_events(stored_client: httpx2.AsyncClient) -> None:
    response = await stored_client.post(RESPONSES, json=body(stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    read = events(response.text)
    assert kinds(read) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert read[0]["response"]["status"] == read[1]["response"]["status"] == "in_progress"
    assert read[0]["response"]["output"] == read[2]["item"]["content"] == []
    item = read[-2]["item"]
    assert read[-1]["response"]["output"] == [item]
    assert {event.get("item_id", item["id"]) for event in read} == {item["id"]}
    assert read[7]["text"] == item["content"][0]["text"] == "Hello there!"


async def test_text_survives_the_frames(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.answer = ('quote " and \\', "\nline\r\u2028", "ünïcödé 🐦", "\x00\x1f</script>", "data: [DONE]\n\n")
    read = events((await stored_client.post(RESPONSES, json=body(stream=True))).text)
    said = "".join(event["delta"] for event in read if "delta" in event)
    assert said == "".join(backend.answer) == read[-1]["response"]["output"][0]["content"][0]["text"]


async def test_thoughts_come_before_the_answer(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.syntax = AnswerSyntax(thinks=True)
    backend.answer = ("<think>", "Hm", "m.", "</think>", "Yes", ".")
    read = events((await stored_client.post(RESPONSES, json=body(stream=True, reasoning={"effort": "low"}))).text)
    assert kinds(read)[2:] == [
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta",
        "reasoning_text.done", "content_part.done", "output_item.done", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    thought, said = read[-1]["response"]["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Hmm."}]
    assert said["content"][0]["text"] == "Yes."
    assert read[-1]["response"]["usage"]["output_tokens_details"]["reasoning_tokens"] == 4
    assert backend.requests[0].reasoning_effort == "low"


def test_calls_go_to_and_fro(official: openai.OpenAI, backend: ScriptedBackend) -> None:
    backend.syntax = AnswerSyntax("hermes")
    backend.answer = ("Let me see.", *CALL.partition(" {"))
    with official.responses.stream(model=MODEL, input="Weather?", tools=[WEATHER]) as stream:  # type: ignore[list-item]
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        answer = stream.get_final_response()
    said, call = answer.output
    assert said.type == "message"
    assert call.type == "function_call"
    assert (call.name, call.arguments, "".join(deltas)) == ("weather", '{"city": "Oslo"}', '{"city": "Oslo"}')
    backend.syntax, backend.answer = AnswerSyntax(), ("Rain.",)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    again = official.responses.create(model=MODEL, input=[result], previous_response_id=answer.id)  # type: ignore[list-item]
    assert again.output_text == "Rain."
    asked, calling, given = backend.requests[1].messages or ()
    assert (asked.text, calling.text, given.text) == ("Weather?", "Let me see.", "rain")
    assert [each.name for each in calling.calls] == ["weather"]
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
        official.responses.create(model=MODEL, input="And now?", previous_response_id=answer.id)


@pytest.mark.parametrize(
    ("choice", "names", "must_call", "parallel"),
    [
        ("auto", ["weather", "time"], False, True),
        ("required", ["weather", "time"], True, True),
        ("none", [], False, True),
        ({"type": "function", "name": "time"}, ["time"], True, False),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "time"}]},
            ["time"],
            True,
            True,
        ),
    ],
)
async def test_tools_are_chosen(
    stored_client: httpx2.AsyncClient,
    backend: ScriptedBackend,
    choice: Any,
    names: list[str],
    must_call: bool,
    parallel: bool,
) -> None:
    time = {"type": "function", "name": "time", "description": "Tells the time", "strict": False}
    answer = await stored_client.post(RESPONSES, json=body(tools=[WEATHER, time], tool_choice=choice))
    assert answer.json()["tool_choice"] == choice
    request = backend.requests[0]
    assert [tool.name for tool in request.tools] == names
    assert (request.must_call, request.parallel_calls) == (must_call, parallel)
    assert [tool.strict for tool in request.tools] == [name == "weather" for name in names]


class Bird(BaseModel):
    name: str


def test_the_official_client_parses(official: openai.OpenAI, backend: ScriptedBackend) -> None:
    backend.answer = ('{"name":', ' "Myna"}')
    answer = official.responses.parse(model=MODEL, input="Name a bird", text_format=Bird)
    assert answer.output_parsed == Bird(name="Myna")
    grammar = backend.requests[0].grammar
    assert grammar is not None
    assert (grammar.kind, grammar.param) == ("json_schema", "text.format.schema")
    assert json.loads(grammar.source)["properties"] == {"name": {"title": "Name", "type": "string"}}


@pytest.mark.parametrize(
    ("more", "grammar"),
    [
        ({"text": {"format": {"type": "text"}}}, None),
        (
            {"text": {"format": {"type": "json_object"}, "verbosity": "medium"}},
            Grammar("json_object", "", "text.format"),
        ),
        ({"grammar": {"type": "regex", "value": "yes|no"}}, Grammar("regex", "yes|no", "grammar")),
    ],
)
async def test_a_form_reaches_the_model(
    stored_client: httpx2.AsyncClient, backend: ScriptedBackend, more: dict[str, Any], grammar: Grammar | None
) -> None:
    assert (await stored_client.post(RESPONSES, json=body(**more))).status_code == 200
    assert backend.requests[0].grammar == grammar


async def test_parameters_reach_the_engine(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    answer = await stored_client.post(
        RESPONSES,
        json=body(
            temperature=0.5, top_p=0.9, max_output_tokens=9, top_k=40, min_p=0.1, seed=7, stop=["END"], ignore_eos=True,
            presence_penalty=0.25, frequency_penalty=-0.5, repetition_penalty=1.1, logit_bias={"12": -100},
            dialect="alpaca", adapter="pirate", top_logprobs=2, service_tier="flex", max_tool_calls=3, user="ann",
            safety_identifier="a", prompt_cache_key="b", prompt_cache_retention="24h", truncation="auto",
            include=["reasoning.encrypted_content"], parallel_tool_calls=False,
        ),
    )  # fmt: skip
    request, shown = backend.requests[0], answer.json()
    params = request.params
    assert (params.temperature, params.top_p, params.max_tokens, params.top_k, params.min_p) == (0.5, 0.9, 9, 40, 0.1)
    assert (params.seed, params.stop, params.ignore_eos, params.logprobs) == (7, ("END",), True, 2)
    assert (params.presence_penalty, params.frequency_penalty, params.repetition_penalty) == (0.25, -0.5, 1.1)
    assert (params.logit_bias, request.dialect, request.adapter) == ({12: -100}, "alpaca", "pirate")
    assert request.background
    assert (shown["service_tier"], shown["max_tool_calls"], shown["truncation"]) == ("flex", 3, "auto")
    assert (shown["temperature"], shown["top_p"], shown["max_output_tokens"]) == (0.5, 0.9, 9)
    assert (shown["user"], shown["safety_identifier"], shown["parallel_tool_calls"]) == ("ann", "a", False)


async def test_logprobs_come_with_the_text(stored_client: httpx2.AsyncClient) -> None:
    asked = body(stream=True, include=["message.output_text.logprobs"], top_logprobs=1)
    read = events((await stored_client.post(RESPONSES, json=asked)).text)
    deltas = [event for event in read if event["type"].endswith("output_text.delta")]
    assert [len(event["logprobs"]) for event in deltas] == [1, 1, 1]
    whole = [logprob for event in deltas for logprob in event["logprobs"]]
    assert read[-1]["response"]["output"][0]["content"][0]["logprobs"] == whole == read[7]["logprobs"]
    assert whole[0] == {
        "token": "Hello", "logprob": -0.5, "bytes": list(b"Hello"),
        "top_logprobs": [{"token": "r0", "logprob": -2.0, "bytes": list(b"r0")}],
    }  # fmt: skip


async def test_an_answer_that_is_cut_short_says_so(stored_client: httpx2.AsyncClient) -> None:
    whole = (await stored_client.post(RESPONSES, json=body(max_output_tokens=2))).json()
    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert whole["output"][0]["status"] == "incomplete"
    assert whole["completed_at"] is None
    read = events((await stored_client.post(RESPONSES, json=body(max_output_tokens=2, stream=True))).text)
    assert kinds(read)[-1] == "incomplete"


async def test_an_empty_answer_is_an_empty_message(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.answer = ()
    read = events((await stored_client.post(RESPONSES, json=body(stream=True))).text)
    assert read[-1]["response"]["output"][0]["content"][0]["text"] == ""
    assert kinds(read)[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]


async def test_what_fails_on_the_way_is_a_failed_response(
    stored_client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    backend.late_failure = EngineCrashed("The engine ended.")
    read = events((await stored_client.post(RESPONSES, json=body(stream=True))).text)
    assert kinds(read)[-4:] == ["output_text.done", "content_part.done", "output_item.done", "failed"]
    failed = read[-1]["response"]
    assert failed["error"] == {"code": "server_error", "message": "The engine ended."}
    assert failed["output"][0]["status"] == "incomplete"
    stored = (await stored_client.get(f"{RESPONSES}/{failed['id']}")).json()
    assert stored == failed
    assert (await stored_client.post(RESPONSES, json=body())).status_code == 503


@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_first_is_an_http_error(
    stored_client: httpx2.AsyncClient, backend: ScriptedBackend, stream: bool
) -> None:
    backend.failure = EngineBusy("Too many requests wait.")
    assert (await stored_client.post(RESPONSES, json=body(stream=stream))).status_code == 429
    backend.failure = None
    answer = await stored_client.post(RESPONSES, json=body(input="word " * 100, stream=stream))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "input"
    assert answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_stops_the_generation(
    stored_address: str, backend: ScriptedBackend, stream: bool
) -> None:
    backend.gate = asyncio.Event()
    async with httpx2.AsyncClient(base_url=stored_address, timeout=WAIT_SECONDS) as http:
        request = http.build_request("POST", RESPONSES, json=body(stream=stream))
        asked = asyncio.create_task(http.send(request, stream=True))
        await asyncio.to_thread(backend.paused.wait, WAIT_SECONDS)
        if stream:
            response = await asked
            frames = response.aiter_raw()
            read = b""
            while b"output_text.delta" not in read:
                read += await anext(frames)
            await response.aclose()
        else:
            asked.cancel()
        assert await asyncio.to_thread(backend.cancelled_event.wait, WAIT_SECONDS)
        if stream:
            response_id = json.loads(read.split(b"data: ")[1].split(b"\n")[0])["response"]["id"]
            async with asyncio.timeout(WAIT_SECONDS):  # it is stored once the connection is torn down
                while (stored := await http.get(f"{RESPONSES}/{response_id}")).status_code == 404:
                    pass
            assert stored.json()["status"] == "cancelled"
            assert stored.json()["output"][0]["content"][0]["text"] == "Hello"


async def test_a_conversation_goes_on_by_its_last_response(
    stored_client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    first = (await stored_client.post(RESPONSES, json=body(instructions="Be brief."))).json()
    asked = body(input="More", previous_response_id=first["id"], instructions="Be long.")
    second = (await stored_client.post(RESPONSES, json=asked)).json()
    assert second["previous_response_id"] == first["id"]
    system, *turns = backend.requests[1].messages or ()
    assert system.text == "Be long."
    assert [(turn.role, turn.text) for turn in turns] == [
        ("user", "Hi"),
        ("assistant", "Hello there!"),
        ("user", "More"),
    ]
    (said,) = turns[1].parts
    assert said.token_ids == (100, 101, 102)  # type: ignore[attr-defined]
    listed = (await stored_client.get(f"{RESPONSES}/{second['id']}/input_items?order=asc")).json()["data"]
    assert [item["content"][0]["text"] for item in listed] == ["Hi", "Hello there!", "More"]
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    await stored_client.post(RESPONSES, json=body(input=[{"role": "user", "content": "Hi"}, reference]))
    assert [turn.text for turn in backend.requests[2].messages or ()] == ["Hi", "Hello there!"]
    await stored_client.delete(f"{RESPONSES}/{first['id']}", headers=JSON)
    broken = await stored_client.post(RESPONSES, json=body(previous_response_id=second["id"]))
    assert (broken.status_code, broken.json()["error"]["param"]) == (400, "previous_response_id")
    left = (await stored_client.get(f"{RESPONSES}/{second['id']}/input_items")).json()["data"]
    assert [item["content"][0]["text"] for item in left] == ["More"]


async def test_a_conversation_takes_what_is_said(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    made = (await stored_client.post("/v1/conversations", json={"items": [{"role": "user", "content": "A"}]})).json()
    conversation = {"id": made["id"]}
    answer = (await stored_client.post(RESPONSES, json=body(input="B", conversation=made["id"]))).json()
    assert answer["conversation"] == conversation
    await stored_client.post(RESPONSES, json=body(input="C", conversation=conversation, store=False))
    assert [turn.text for turn in backend.requests[1].messages or ()] == ["A", "B", "Hello there!", "C"]
    items = (await stored_client.get(f"/v1/conversations/{made['id']}/items?order=asc")).json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["A", "B", "Hello there!", "C", "Hello there!"]
    assert all("_tokens" not in item for item in items)
    known = await stored_client.post(RESPONSES, json=body(input=items[:1], conversation=conversation))
    assert known.status_code == 400
    assert known.json()["error"]["param"] == "input[0].id"


async def test_what_is_not_to_be_stored_is_not(stored_client: httpx2.AsyncClient) -> None:
    answer = (await stored_client.post(RESPONSES, json=body(store=False))).json()
    assert answer["store"] is False
    assert (await stored_client.get(f"{RESPONSES}/{answer['id']}")).status_code == 404
    assert (await stored_client.post(RESPONSES, json=body(previous_response_id=answer["id"]))).status_code == 404


async def test_what_cannot_be_stored_comes_with_the_failure(
    stored_client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(store_of_responses, "add", full)
    whole = await stored_client.post(RESPONSES, json=body())
    assert (whole.status_code, whole.headers["x-should-retry"]) == (507, "false")
    assert whole.json()["response"]["output"][0]["content"][0]["text"] == "Hello there!"
    read = events((await stored_client.post(RESPONSES, json=body(stream=True))).text)
    assert kinds(read)[-2:] == ["output_item.done", "error"]
    assert read[-1]["message"] == "The disk is full."


async def test_truncation_drops_the_oldest_turns(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    turns = [{"role": role, "content": f"{role} " * 9} for _ in range(9) for role in ("user", "assistant")]
    asked = body(input=[{"role": "system", "content": "rules"}, *turns, {"role": "user", "content": "last"}])
    assert (await stored_client.post(RESPONSES, json=asked)).status_code == 400
    assert (await stored_client.post(RESPONSES, json=asked | {"truncation": "auto"})).status_code == 200
    system, *rest = backend.requests[-1].messages or ()
    assert system.text == "rules"
    assert [turn.role for turn in rest] == ["user", "assistant", "user", "assistant", "user"]
    hopeless = body(input="word " * 100, truncation="auto")
    assert (await stored_client.post(RESPONSES, json=hopeless)).json()["error"]["code"] == "context_length_exceeded"


JSON = {"content-type": "application/json"}
MISTAKES: list[tuple[dict[str, Any], str | None]] = [
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].type"),
    ({"input": [{"type": "item_reference", "id": "msg_no"}]}, "input[0].id"),
    ({"instructions": "half \ud800"}, "instructions"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"top_logprobs": 21}, "top_logprobs"),
    ({"temperature": 3}, "temperature"),
    ({"n": 2}, "n"),
    ({"messages": []}, "messages"),
    ({"previous_response_id": "resp_no"}, "previous_response_id"),
    ({"conversation": "conv_no"}, "conversation"),
    ({"conversation": {"name": "x"}}, "conversation"),
    ({"conversation": "conv_1", "previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True, "store": False}, "store"),
    ({"background_options": {"completion_window": "soonest"}}, "background_options"),
    (
        {"background": True, "background_options": {"completion_window": "2h"}},
        "background_options.completion_window",
    ),
    ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
    ({"include": ["everything"]}, "include[0]"),
    ({"include": ["file_search_call.results"]}, "include[0]"),
    ({"metadata": {"k" * 65: "v"}}, None),
    ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ({"moderation": {"model": "omni"}}, "moderation"),
    ({"context_management": [{"type": "compaction"}]}, "context_management"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"truncation": "some"}, "truncation"),
    ({"reasoning": {"effort": "enormous"}}, "reasoning.effort"),
    ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
    ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"text": {"format": {"type": "json_object", "schema": {}}}}, "text.format.schema"),
    ({"text": {"verbosity": "high"}}, "text.verbosity"),
    ({"text": {"style": "bold"}}, "text.style"),
    ({"text": {"format": {"type": "json_object"}}, "grammar": {"type": "regex", "value": "a"}}, "grammar"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [{"type": "custom", "name": "x"}]}, "tools[0].type"),
    ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
    ({"tools": [{**WEATHER, "name": "a b"}]}, "tools[0].name"),
    ({"tools": [{**WEATHER, "defer_loading": True}]}, "tools[0].defer_loading"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "time"}}, "tool_choice.name"),
    ({"tools": [WEATHER], "tool_choice": {"type": "file_search"}}, "tool_choice.type"),
    ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
]


async def test_mistakes_are_named(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    for more, param in MISTAKES:
        answer = await stored_client.post(RESPONSES, content=json.dumps(body(**more)), headers=JSON)
        assert answer.status_code in (400, 404), (more, answer.text)
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert param is None or error["param"] == param, error
    assert backend.requests == []


async def test_tokens_are_counted(stored_client: httpx2.AsyncClient) -> None:
    first = (await stored_client.post(RESPONSES, json=body(input="one two"))).json()
    asked = {"input": "three", "previous_response_id": first["id"], "instructions": "zero"}
    answer = await stored_client.post(f"{RESPONSES}/input_tokens", json=asked)
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 6}


async def test_a_conversation_is_compacted(stored_client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    first = (await stored_client.post(RESPONSES, json=body(input="one"))).json()
    backend.answer = ("They ", "met.")
    asked = {"model": MODEL, "previous_response_id": first["id"]}
    compacted = (await stored_client.post(f"{RESPONSES}/compact", json=asked)).json()
    assert compacted["object"] == "response.compaction"
    said, compaction = compacted["output"]
    assert (said["role"], compaction["encrypted_content"]) == ("user", "They met.")
    assert compacted["usage"]["output_tokens"] == 2
    assert [turn.text for turn in backend.requests[1].messages or ()][:2] == ["one", "Hello there!"]
    await stored_client.post(RESPONSES, json=body(input=[*compacted["output"], {"role": "user", "content": "two"}]))
    system, last = backend.requests[2].messages or ()
    assert "They met." in system.text
    assert "one" in system.text
    assert last.text == "two"
