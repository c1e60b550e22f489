"""Chat completions as clients see them: the official client on a socket, and the bytes themselves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest

from myna.chat import Message
from myna.engine.request import Grammar
from myna.errors import EngineBusy, EngineCrashed
from tests.patience import WAIT_SECONDS
from tests.server.scripted import MODEL, ScriptedBackend

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hi"}]


def body(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": HELLO} | more


def frames(response: httpx2.Response) -> list[Any]:
    """Payloads of a stream; the last one is [DONE] when it ended well."""
    lines = [line for line in response.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    payloads = [line.removeprefix("data: ") for line in lines]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


def test_the_official_client_chats(address: str, backend: ScriptedBackend) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Say hello"}])
    assert answer.choices[0].message.content == "Hello there!"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (2, 3, 5)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 1
    assert backend.requests[0].messages == (Message.of("user", "Say hello"),)


async def test_padded_frames_tell_nothing_by_their_length(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.answer = ("a", " somewhat longer word", " ü", "!")
    for path, question in ((CHAT, {"messages": HELLO}), ("/v1/completions", {"prompt": "Hi"})):
        sent = {"model": MODEL, "stream": True, "stream_options": {"include_obfuscation": True}} | question
        padded = await client.post(path, json=sent)
        chunks = [line for line in padded.text.split("\n\n") if line][:-1]
        assert {(len(line.encode()) + 2) % 128 for line in chunks} == {0}
        assert len({len(line.encode()) for line in chunks}) < 4
        assert all(isinstance(frame["obfuscation"], str) for frame in frames(padded)[:-1])
        plain = await client.post(path, json=sent | {"stream_options": None})
        assert "obfuscation" not in plain.text


async def test_the_tier_that_was_used_is_named_to_who_asked(client: httpx2.AsyncClient) -> None:
    assert (await client.post(CHAT, json=body(service_tier="auto"))).json()["service_tier"] == "default"
    assert "service_tier" not in (await client.post(CHAT, json=body())).json()
    streamed = await client.post(CHAT, json=body(service_tier="default", stream=True))
    assert {frame["service_tier"] for frame in frames(streamed)[:-1]} == {"default"}


async def test_the_flexible_tier_gives_way(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    assert (await client.post(CHAT, json=body(service_tier="flex"))).json()["service_tier"] == "flex"
    await client.post(CHAT, json=body(service_tier="auto"))
    assert [request.background for request in backend.requests] == [True, False]


async def test_hints_for_a_cache_change_nothing(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    part = {"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}
    hints = {
        "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
        "prompt_cache_retention": "24h",
        "prediction": {"type": "content", "content": [part]},
    }
    answer = await client.post(CHAT, json=body(messages=[{"role": "user", "content": [part]}], **hints))
    assert answer.status_code == 200
    assert backend.requests[0].messages == (Message.of("user", "Hi"),)
    explicit = await client.post(CHAT, json=body(prompt_cache_options={"mode": "explicit"}))
    assert explicit.json()["error"]["param"] == "prompt_cache_options"


async def test_the_official_asynchronous_client_streams(address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello there!"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 4
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert {chunk.system_fingerprint for chunk in chunks} == {chunks[0].system_fingerprint}


async def test_a_stream_has_openais_frames(client: httpx2.AsyncClient) -> None:
    response = await client.post(CHAT, json=body(stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, last = frames(response)
    assert last == "[DONE]"
    assert all(chunk["object"] == "chat.completion.chunk" and "usage" not in chunk for chunk in chunks)
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == ["", "Hello", " there", "!", None]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, None, "stop"]


async def test_usage_is_null_until_the_last_frame(client: httpx2.AsyncClient) -> None:
    response = await client.post(CHAT, json=body(stream=True, stream_options={"include_usage": True}))
    *chunks, final, _ = frames(response)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert final["choices"] == []
    assert final["usage"]["completion_tokens"] == 3


async def test_text_survives_the_frames(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.answer = ('quote " and \\', "\nline\r\u2028", "ünïcödé 🐦", "\x00\x1f</script>", "data: [DONE]\n\n")
    response = await client.post(CHAT, json=body(stream=True))
    *chunks, last = frames(response)
    assert last == "[DONE]"
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "".join(backend.answer)


async def test_parameters_reach_the_engine(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    await client.post(
        CHAT,
        json=body(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            repetition_penalty=1.1,
            presence_penalty=0.25,
            frequency_penalty=-0.5,
            logit_bias={"12": -100, "7": 2.5},
            seed=-1,
            stop=["END", "\n\n"],
            max_completion_tokens=9,
            ignore_eos=True,
            dialect="alpaca",
            adapter="pirate",
            logprobs=True,
            top_logprobs=3,
        ),
    )
    params = backend.requests[0].params
    assert (params.temperature, params.top_p, params.top_k, params.min_p) == (0.5, 0.9, 40, 0.05)
    assert (params.repetition_penalty, params.presence_penalty, params.frequency_penalty) == (1.1, 0.25, -0.5)
    assert params.logit_bias == {12: -100, 7: 2.5}
    assert params.seed == 2**64 - 1
    assert params.stop == ("END", "\n\n")
    assert (params.max_tokens, params.ignore_eos, params.logprobs) == (9, True, 3)
    assert (backend.requests[0].dialect, backend.requests[0].adapter) == ("alpaca", "pirate")


@pytest.mark.parametrize("model", [f"{MODEL}+pirate", "default+pirate", "pirate"])
async def test_an_adapter_is_asked_for_as_a_model(
    client: httpx2.AsyncClient, backend: ScriptedBackend, model: str
) -> None:
    answer = (await client.post(CHAT, json=body(model=model))).json()
    assert answer["model"] == f"{MODEL}+pirate"
    assert backend.requests[0].adapter == "pirate"
    refused = await client.post(CHAT, json=body(model=model, adapter="poet"))
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "adapter"


async def test_defaults_are_openais(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    await client.post(CHAT, json=body())
    params = backend.requests[0].params
    assert (params.temperature, params.top_p, params.max_tokens, params.seed, params.logprobs) == (
        1,
        1,
        None,
        None,
        None,
    )


async def test_null_means_not_given(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    nulls = dict.fromkeys(("temperature", "stop", "seed", "tools", "response_format", "logit_bias", "stream_options"))
    response = await client.post(CHAT, json=body(**nulls))
    assert response.status_code == 200
    assert backend.requests[0].params.temperature == 1


async def test_values_that_ask_for_nothing_are_accepted(client: httpx2.AsyncClient) -> None:
    neutral = {
        "n": 1,
        "tools": [],
        "tool_choice": "none",
        "response_format": {"type": "text"},
        "modalities": ["text"],
        "store": False,
        "service_tier": "auto",
        "user": "someone",
        "metadata": {"key": "value"},
    }
    response = await client.post(CHAT, json=body(**neutral))
    assert response.status_code == 200, response.text


async def test_roles_and_parts_become_messages(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What"}, {"type": "text", "text": " now?"}]},
        {"role": "assistant", "content": "This.", "refusal": None, "annotations": [], "tool_calls": None},
        {"role": "user", "content": ""},
    ]
    response = await client.post(CHAT, json=body(messages=messages))
    assert response.status_code == 200, response.text
    sent = backend.requests[0].messages
    assert sent is not None
    assert [(message.role, message.text) for message in sent] == [
        ("system", "Be brief."),
        ("user", "What now?"),
        ("assistant", "This."),
        ("user", ""),
    ]


async def test_log_probabilities_come_with_their_tokens(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.answer = ("Grüße",)
    whole = (await client.post(CHAT, json=body(logprobs=True, top_logprobs=2))).json()
    content = whole["choices"][0]["logprobs"]["content"]
    assert content[0]["token"] == "Grüße"
    assert bytes(content[0]["bytes"]).decode() == "Grüße"
    assert content[0]["logprob"] == -0.5
    assert [rival["token"] for rival in content[0]["top_logprobs"]] == ["r0", "r1"]
    streamed = frames(await client.post(CHAT, json=body(logprobs=True, top_logprobs=2, stream=True)))
    assert streamed[1]["choices"][0]["logprobs"]["content"] == content


async def test_without_asking_there_are_no_log_probabilities(client: httpx2.AsyncClient) -> None:
    assert (await client.post(CHAT, json=body())).json()["choices"][0]["logprobs"] is None


async def test_the_token_limit_is_a_finish_reason(client: httpx2.AsyncClient) -> None:
    answer = (await client.post(CHAT, json=body(max_tokens=2))).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == "Hello there"


async def test_default_names_the_default_model(client: httpx2.AsyncClient) -> None:
    answer = (await client.post(CHAT, json=body(model="default"))).json()
    assert answer["model"] == MODEL


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_model_is_404_with_the_nearest(client: httpx2.AsyncClient, stream: bool) -> None:
    response = await client.post(CHAT, json=body(model="scripted:2b", stream=stream))
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"], error["type"]) == ("model_not_found", "model", "invalid_request_error")
    assert MODEL in error["message"]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "./model.gguf", "model.gguf", "~/m", "..", "a/b", "C:\\m.gguf", "a\nb"]
)
async def test_a_path_is_no_model(client: httpx2.AsyncClient, name: str) -> None:
    response = await client.post(CHAT, json=body(model=name))
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert "/v1/models" in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_beyond_the_context_is_400_with_both_numbers(client: httpx2.AsyncClient, stream: bool) -> None:
    long = [{"role": "user", "content": "word " * 100}]
    response = await client.post(CHAT, json=body(messages=long, stream=stream))
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "101" in error["message"]
    assert "64" in error["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_full_queue_asks_to_come_back(
    client: httpx2.AsyncClient, backend: ScriptedBackend, stream: bool
) -> None:
    backend.failure = EngineBusy("Too many requests wait.")
    response = await client.post(CHAT, json=body(stream=stream))
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
    assert response.json()["error"]["code"] == "engine_busy"
    assert response.json()["error"]["type"] == "server_error"


async def test_a_failure_in_the_middle_ends_the_stream_with_an_error(
    client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    backend.late_failure = EngineCrashed("The engine ended.")
    received = frames(await client.post(CHAT, json=body(stream=True)))
    assert received[1]["choices"][0]["delta"]["content"] == "Hello"
    assert received[-1]["error"]["code"] == "engine_crashed"
    assert "[DONE]" not in received


def test_the_official_client_raises_a_failure_in_the_middle(address: str, backend: ScriptedBackend) -> None:
    backend.late_failure = EngineCrashed("The engine ended.")
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True)
        with pytest.raises(openai.APIError, match="The engine ended"):
            list(stream)


async def test_an_answer_that_the_server_cut_off_is_no_answer(
    client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    backend.finish = "cancelled"
    response = await client.post(CHAT, json=body())
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "engine_error"


async def test_several_answers_stream_side_by_side(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    more = {"n": 3, "seed": 2**64 - 1, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, final, last = frames(await client.post(CHAT, json=body(**more)))
    assert last == "[DONE]"
    texts: dict[int, str] = {}
    for chunk in chunks:
        [choice] = chunk["choices"]
        texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
    assert texts == dict.fromkeys(range(3), "Hello there!")
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks].count("stop") == 3
    assert (final["usage"]["prompt_tokens"], final["usage"]["completion_tokens"]) == (1, 9)
    seeds = [request.params.seed for request in backend.requests]
    assert seeds[0] == 2**64 - 1, "the first answer is the one that this seed gives alone"
    assert len(set(seeds)) == 3
    assert len({request.id for request in backend.requests}) == 3


async def test_the_first_answers_prompt_is_computed_before_the_others_begin(
    client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    backend.failure = EngineBusy("too many")
    response = await client.post(CHAT, json=body(n=100))
    assert response.status_code == 429
    assert len(backend.requests) == 1


async def test_a_client_that_goes_ends_all_answers(address: str, backend: ScriptedBackend) -> None:
    backend.gate = asyncio.Event()
    async with httpx2.AsyncClient(base_url=address, timeout=WAIT_SECONDS) as leaving:
        async with leaving.stream("POST", CHAT, json=body(n=4, stream=True)) as response:
            async for line in response.aiter_lines():
                if '"Hello"' in line and '"index":3' in line:
                    break
        assert await asyncio.to_thread(backend.cancelled_event.wait, WAIT_SECONDS)
    async with asyncio.timeout(WAIT_SECONDS):
        while len(backend.cancelled) < 4:  # noqa: ASYNC110 - they end in another thread's loop
            await asyncio.sleep(0.01)
    assert len(backend.cancelled) == 4


FORM = {"name": "person", "schema": {"type": "object"}, "strict": True}


@pytest.mark.parametrize(
    ("more", "grammar"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, Grammar("json_object", "", "response_format")),
        (
            {"response_format": {"type": "json_schema", "json_schema": FORM}},
            Grammar("json_schema", '{"type": "object"}', "response_format.json_schema.schema"),
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "any", "strict": None}}},
            Grammar("json_object", "", "response_format"),
        ),
        ({"grammar": {"type": "lark", "value": 'start: "a"'}}, Grammar("lark", 'start: "a"', "grammar")),
        ({"grammar": {"type": "json_schema", "value": {}}}, Grammar("json_schema", "{}", "grammar.value")),
    ],
)
async def test_a_form_reaches_the_model(
    client: httpx2.AsyncClient, backend: ScriptedBackend, more: dict[str, Any], grammar: Grammar | None
) -> None:
    assert (await client.post(CHAT, json=body(**more))).status_code == 200
    assert backend.requests[0].grammar == grammar


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_object", "schema": {}}}, "response_format.schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        (
            {"response_format": {"type": "json_schema", "json_schema": FORM | {"name": "a b"}}},
            "response_format.json_schema.name",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": FORM | {"strict": 1}}},
            "response_format.json_schema.strict",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": FORM | {"schema": [1]}}},
            "response_format.json_schema.schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": FORM | {"schemas": {}}}},
            "response_format.json_schema.schemas",
        ),
        ({"grammar": {"type": "bnf", "value": "a"}}, "grammar.type"),
        ({"grammar": {"type": "regex", "value": 5}}, "grammar.value"),
        ({"grammar": {"type": "regex", "value": "\ud800"}}, "grammar.value"),
        ({"grammar": {"type": "regex", "value": "a", "flags": "i"}}, "grammar.flags"),
        (
            {"grammar": {"type": "regex", "value": "a"}, "response_format": {"type": "json_object"}},
            "grammar",
        ),
    ],
)
async def test_a_malformed_form_is_refused_by_name(
    client: httpx2.AsyncClient, more: dict[str, Any], param: str
) -> None:
    content = json.dumps(body(**more))  # as ASCII, so that half a character can be sent too
    response = await client.post(CHAT, content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
