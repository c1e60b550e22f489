"""Ollama's own client against the real server and model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import ollama
import pytest

from tests.patience import WAIT_SECONDS
from tests.processes import Server

MODEL = "smollm2:135m"
GREEDY = {"temperature": 0, "seed": 1, "repeat_penalty": 1.0}
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def client(server: Server) -> Iterator[ollama.Client]:
    client = ollama.Client(host=server.url)
    yield client
    client._client.close()


def test_chat_whole_and_in_lines(client: ollama.Client, server: Server) -> None:
    whole = client.chat(MODEL, QUESTION, options=GREEDY | {"num_predict": 20})
    body = {"model": MODEL, "messages": QUESTION, "temperature": 0, "max_tokens": 20}
    same = httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=WAIT_SECONDS).json()
    assert whole.message.content == same["choices"][0]["message"]["content"]
    assert whole.done_reason in ("stop", "length")
    assert whole.prompt_eval_count > 10
    assert 1 <= whole.eval_count <= 20
    assert whole.total_duration >= whole.eval_duration > 0
    chunks = list(client.chat(MODEL, QUESTION, options=GREEDY | {"num_predict": 20}, stream=True))
    assert "".join(chunk.message.content for chunk in chunks) == whole.message.content
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].eval_count == whole.eval_count


def test_an_answer_that_is_begun_is_carried_on(client: ollama.Client) -> None:
    begun = [*QUESTION, {"role": "assistant", "content": "The capital of France is"}]
    answer = client.chat(MODEL, begun, options=GREEDY | {"num_predict": 4})
    assert answer.message.content.startswith(" Paris")


def test_generate_with_system_raw_and_stop(client: ollama.Client) -> None:
    answer = client.generate(MODEL, "Hello", system="Answer in French.", options=GREEDY | {"num_predict": 8})
    assert answer.response
    plain = client.generate(MODEL, "Hello", options=GREEDY | {"num_predict": 8})
    assert answer.prompt_eval_count != plain.prompt_eval_count
    raw = client.generate(MODEL, "1, 2, 3, 4,", raw=True, options=GREEDY | {"num_predict": 20, "stop": ["7"]})
    assert raw.response == " 5, 6, "
    assert raw.done_reason == "stop"


def test_a_model_is_loaded_by_a_request_without_a_prompt(client: ollama.Client) -> None:
    assert client.generate(MODEL).done_reason == "load"
    [running] = [model for model in client.ps().models if model.model == MODEL]
    assert running.context_length == 8192
    assert running.details.family == "llama"


def test_logprobs(client: ollama.Client) -> None:
    answer = client.chat(MODEL, QUESTION, logprobs=True, top_logprobs=2, options=GREEDY | {"num_predict": 3})
    assert "".join(each.token for each in answer.logprobs) == answer.message.content
    assert all(each.top_logprobs[0].logprob == each.logprob for each in answer.logprobs)


def test_models_are_listed_and_shown(client: ollama.Client) -> None:
    [model] = [model for model in client.list().models if model.model == MODEL]
    assert model.size == 98_362_432
    assert model.details.parameter_size == "134.52M"
    shown = client.show(f"{MODEL}:latest")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo["llama.context_length"] == 8192
    assert shown.modelinfo["llama.block_count"] == 30


def test_what_is_there_is_pulled_at_once(client: ollama.Client) -> None:
    assert client.pull(MODEL).status == "success"
    assert [step.status for step in client.pull(MODEL, stream=True)] == ["pulling manifest", "success"]


@pytest.mark.parametrize("method", ["chat", "pull", "show", "delete"])
def test_a_model_that_is_not_known(client: ollama.Client, method: str) -> None:
    with pytest.raises(ollama.ResponseError, match="nosuch") as failure:
        getattr(client, method)("nosuch:1b")
    assert failure.value.status_code == 404


def test_what_is_not_offered_is_refused(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="'template' is not supported"):
        client.generate(MODEL, "Hi", template="{{ .Prompt }}")
    with pytest.raises(ollama.ResponseError, match="cannot fill text in before a suffix"):
        client.generate(MODEL, "def f(", suffix="return")
    with pytest.raises(ollama.ResponseError, match="mirostat"):
        client.generate(MODEL, "Hi", options={"mirostat": 2})
    with pytest.raises(ollama.ResponseError, match="temperature is 9"):
        client.generate(MODEL, "Hi", options={"temperature": 9})


def test_an_answer_has_the_form_that_was_asked_for(client: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
    schema["additionalProperties"] = False
    answer = client.chat(MODEL, QUESTION, format=schema, options=GREEDY | {"num_predict": 60})
    assert list(json.loads(answer.message.content)) == ["city"]


def test_a_tool_is_called_as_its_schema_says_and_answered(client: ollama.Client) -> None:
    weather = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the current weather for a city",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 20}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    # The form leaves the model the choice between a reply and calls, each as its grammar says.
    reply = {"type": "object", "properties": {"reply": {"type": "string", "maxLength": 9}}, "required": ["reply"]}
    said = [{"role": "user", "content": "What is the weather in Paris?"}]
    options = GREEDY | {"num_predict": 200}
    answer = client.chat(MODEL, said, tools=[weather], format=reply, options=options)
    assert answer.message.tool_calls
    assert {call.function.name for call in answer.message.tool_calls} == {"get_weather"}
    assert all(list(call.function.arguments) == ["city"] for call in answer.message.tool_calls)
    results = [{"role": "tool", "tool_name": "get_weather", "content": "Rain"} for _ in answer.message.tool_calls]
    told = client.chat(MODEL, [*said, answer.message, *results], options=GREEDY | {"num_predict": 8})
    assert told.message.content


def test_a_model_that_does_not_think_says_so(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="does not support thinking so; leave 'think' out"):
        client.chat(MODEL, QUESTION, think="high")
    assert client.chat(MODEL, QUESTION, think=False, options=GREEDY | {"num_predict": 2}).message.content


def test_errors_and_unknown_fields_are_as_the_original_has_them(server: Server) -> None:
    with httpx2.Client(base_url=server.url, timeout=WAIT_SECONDS) as http:
        body = {"model": MODEL, "prompt": "Hi", "stream": False, "options": {"num_ctx": 1, "num_predict": 1}, "new": 1}
        assert http.post("/api/generate", json=body).status_code == 200
        wrong = http.post("/api/chat", json={"model": MODEL, "messages": [{"role": "king", "content": "x"}]})
        assert wrong.status_code == 400
        assert wrong.json() == {
            "error": "Invalid value for 'messages[0].role': 'king'; allowed are system, user, assistant, tool."
        }
        assert http.get("/api/version").json()["version"]


def test_vectors_need_a_model_that_makes_them(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as failure:
        client.embed(MODEL, "A myna is a bird.")
    assert failure.value.status_code == 400
