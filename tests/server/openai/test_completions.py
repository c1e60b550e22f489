"""Text completions: every shape of prompt, echo, scoring, streams of several."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from myna.engine.request import Grammar, TokenLogprob
from myna.errors import UnsupportedParameter
from myna.server.limits import MAX_PROMPTS
from tests.server.scripted import MODEL, ScriptedBackend

COMPLETIONS = "/v1/completions"


async def complete(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(COMPLETIONS, json={"model": MODEL} | body)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_official_client_completes(address: str, backend: ScriptedBackend) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        answer = client.completions.create(model=MODEL, prompt="Once upon", max_tokens=2, logprobs=1)
        chunks = list(client.completions.create(model=MODEL, prompt="Once upon", stream=True))
    assert answer.choices[0].text == "Hello there"
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].logprobs is not None
    assert answer.choices[0].logprobs.tokens == ["Hello", " there"]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello there!"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert backend.requests[0].text == "Once upon"


async def test_sixteen_tokens_unless_told_otherwise(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    await complete(client, prompt="a")
    assert backend.requests[0].params.max_tokens == 16


@pytest.mark.parametrize(
    ("prompt", "texts", "tokens"),
    [
        ("a b", ["a b"], [None]),
        (["a", "b c"], ["a", "b c"], [None, None]),
        ([1, 2, 3], [None], [(1, 2, 3)]),
        ([[1], [2, 3]], [None, None], [(1,), (2, 3)]),
        ("", [""], [None]),
    ],
)
async def test_every_shape_of_prompt(
    client: httpx2.AsyncClient,
    backend: ScriptedBackend,
    prompt: Any,
    texts: list[str | None],
    tokens: list[tuple[int, ...] | None],
) -> None:
    answer = await complete(client, prompt=prompt)
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(texts)))
    assert [request.text for request in backend.requests] == texts
    assert [request.token_ids for request in backend.requests] == tokens


async def test_usage_adds_up_over_prompts(client: httpx2.AsyncClient) -> None:
    answer = await complete(client, prompt=["a b", "c d e"])
    assert answer["usage"]["prompt_tokens"] == 5
    assert answer["usage"]["completion_tokens"] == 6


async def test_streams_of_several_prompts_are_told_apart(client: httpx2.AsyncClient) -> None:
    response = await client.post(
        COMPLETIONS,
        json={
            "model": MODEL,
            "prompt": ["a", "b", "c"],
            "stream": True,
            "echo": True,
            "stream_options": {"include_usage": True},
        },
    )
    payloads = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert payloads.pop() == "[DONE]"
    chunks = [json.loads(payload) for payload in payloads]
    assert chunks.pop()["usage"]["completion_tokens"] == 9
    texts = {0: "", 1: "", 2: ""}
    reasons = {}
    for chunk in chunks:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
        reasons[choice["index"]] = choice["finish_reason"]
    assert texts == {0: "aHello there!", 1: "bHello there!", 2: "cHello there!"}
    assert reasons == {0: "stop", 1: "stop", 2: "stop"}


async def test_echo_repeats_the_prompt(client: httpx2.AsyncClient) -> None:
    assert (await complete(client, prompt="Well, ", echo=True))["choices"][0]["text"] == "Well, Hello there!"
    assert (await complete(client, prompt=[4, 5], echo=True))["choices"][0]["text"] == "t4 t5Hello there!"


async def test_scoring_gives_the_prompts_log_probabilities(client: httpx2.AsyncClient) -> None:
    (choice,) = (await complete(client, prompt="Grüße an alle", echo=True, max_tokens=0, logprobs=1))["choices"]
    assert choice["text"] == "Grüße an alle"
    assert choice["finish_reason"] == "length"
    assert choice["logprobs"] == {
        "tokens": ["Grüße", " an", " alle"],
        "token_logprobs": [None, -1.0, -1.5],
        "top_logprobs": [None, {"r0": -2.0, " an": -1.0}, {"r0": -2.0, " alle": -1.5}],
        "text_offset": [0, 5, 8],
    }


async def test_offsets_run_on_into_the_answer(client: httpx2.AsyncClient) -> None:
    (choice,) = (await complete(client, prompt="Grüße", echo=True, logprobs=0))["choices"]
    assert choice["text"] == "GrüßeHello there!"
    assert choice["logprobs"]["text_offset"] == [0, 5, 10, 16]
    assert choice["logprobs"]["top_logprobs"][1] == {"Hello": -0.5}


@pytest.mark.parametrize(
    "prompt",
    [[], [[]], [1, "a"], [[1], "a"], [-1], [True], [1.5], {"a": 1}, 7, True, ["a"] * (MAX_PROMPTS + 1), [[2**31]]],
)
async def test_a_malformed_prompt_is_refused_by_name(client: httpx2.AsyncClient, prompt: Any) -> None:
    response = await client.post(COMPLETIONS, json={"model": MODEL, "prompt": prompt})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt"


async def test_a_token_outside_the_vocabulary_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.post(COMPLETIONS, json={"model": MODEL, "prompt": [999_999], "stream": True})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt"


async def test_one_refused_prompt_refuses_all(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    response = await client.post(COMPLETIONS, json={"model": MODEL, "prompt": ["fine", "word " * 100]})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"
    assert len(backend.ended) + len(backend.cancelled) <= 1


@pytest.mark.parametrize(
    ("extra", "param", "code"),
    [
        ({"suffix": 1}, "suffix", "invalid_value"),
        ({"suffix": "a", "echo": True, "logprobs": 1}, "suffix", "invalid_value"),
        ({"best_of": 2, "n": 3}, "best_of", "invalid_value"),
        ({"best_of": 2, "stream": True}, "best_of", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"n": 65, "prompt": ["a", "b"]}, "n", "invalid_value"),
        ({"grammar": {"type": "regex"}}, "grammar.value", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"logprobs": True}, "logprobs", "invalid_value"),
        ({"logprobs": 21}, "logprobs", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
    ],
)
async def test_parameters_are_refused_by_name(
    client: httpx2.AsyncClient, extra: dict[str, Any], param: str, code: str
) -> None:
    response = await client.post(COMPLETIONS, json={"model": MODEL, "prompt": "a"} | extra)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert response.json()["error"]["code"] == code


async def test_each_prompt_gets_several_completions_in_order(
    client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    body = {"model": MODEL, "prompt": ["one two", "three"], "n": 3, "echo": True, "logprobs": 1, "seed": 5}
    answer = (await client.post(COMPLETIONS, json=body)).json()
    assert [choice["index"] for choice in answer["choices"]] == list(range(6))
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts == ["one twoHello there!"] * 3 + ["threeHello there!"] * 3
    assert [choice["logprobs"]["tokens"][:1] for choice in answer["choices"]] == [["one"]] * 3 + [["three"]] * 3
    assert answer["usage"]["prompt_tokens"] == 3, "a prompt counts once"
    assert answer["usage"]["completion_tokens"] == 18
    asked = [(request.text, request.params.seed, request.params.prompt_logprobs) for request in backend.requests]
    assert len({seed for text, seed, _ in asked if text == "three"}) == 3
    assert sorted(scored is None for _, _, scored in asked) == [False, False, True, True, True, True]


async def test_the_likeliest_of_several_are_the_answer(
    client: httpx2.AsyncClient, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logprob(index: int, word: str, top: int) -> TokenLogprob:
        return TokenLogprob(100, word.encode(), -float(len(backend.requests) % 4))

    monkeypatch.setattr(backend, "_logprob", logprob)
    body = {"model": MODEL, "prompt": "a", "best_of": 4, "n": 2}
    answer = (await client.post(COMPLETIONS, json=body)).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert {choice["logprobs"] for choice in answer["choices"]} == {None}
    assert answer["usage"]["completion_tokens"] == 12, "all that was written counts"
    assert len(backend.requests) == 4


async def test_what_follows_a_completion_reaches_the_model(
    client: httpx2.AsyncClient, backend: ScriptedBackend
) -> None:
    for suffix in ("the end", "", None):
        body = {"model": MODEL, "prompt": ["a", "b"], "suffix": suffix, "echo": True}
        answer = await client.post(COMPLETIONS, json=body)
        assert answer.json()["choices"][0]["text"] == "aHello there!"
    assert [request.suffix for request in backend.requests] == ["the end"] * 2 + [None] * 4
    backend.failure = UnsupportedParameter("It cannot.", param="suffix")
    refused = await client.post(COMPLETIONS, json={"model": MODEL, "prompt": "a", "suffix": "b"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "suffix")


async def test_a_form_reaches_the_model(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    body = {"model": MODEL, "prompt": "a", "grammar": {"type": "regex", "value": "[a-z]+"}}
    assert (await client.post(COMPLETIONS, json=body)).status_code == 200
    assert backend.requests[0].grammar == Grammar("regex", "[a-z]+", "grammar")
