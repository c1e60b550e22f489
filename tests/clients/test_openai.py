"""A program written for OpenAI's API: nothing but the base URL and the key are other."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from tests.clients.conftest import CHAT, EMBEDDING
from tests.clients.questions import ANSWER, QUESTION, SENTENCES, WEATHER, Bird, nearer, weather
from tests.patience import WAIT_SECONDS
from tests.processes import Server

ASK: Any = [{"role": "user", "content": QUESTION}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": WEATHER}}]
BATCH = [
    {
        "custom_id": f"line-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": CHAT, "messages": ASK, "max_tokens": 8, "temperature": 0},
    }
    for number in range(3)
]


@pytest.fixture
def client(shop: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key="myna", max_retries=0) as client:
        yield client


@pytest.fixture
async def asynchronous(shop: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{shop.url}/v1", api_key="myna", max_retries=0) as client:
        yield client


def test_chat_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=CHAT, messages=ASK, temperature=0, max_tokens=24)
    text = whole.choices[0].message.content
    assert text is not None
    assert ANSWER in text
    chunks = client.chat.completions.create(model=CHAT, messages=ASK, temperature=0, max_tokens=24, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text


def test_a_tool_is_called_and_its_result_is_read(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = client.chat.completions.create(
        model=CHAT, messages=asked, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, temperature=0
    )
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    result = weather(**json.loads(call.function.arguments))
    told = [*asked, first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": result}]
    second = client.chat.completions.create(
        model=CHAT, messages=told, tools=TOOLS, tool_choice="none", max_tokens=24, temperature=0
    )
    assert second.choices[0].message.content


def test_a_form_is_kept(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model=CHAT, messages=ASK, response_format=Bird, seed=1)
    assert isinstance(answer.choices[0].message.parsed, Bird)


def test_vectors(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=EMBEDDING, input=list(SENTENCES))
    assert nearer([item.embedding for item in answer.data])


def test_responses_go_on_from_one_another(client: openai.OpenAI) -> None:
    first = client.responses.create(model=CHAT, input=QUESTION, temperature=0, max_output_tokens=24)
    assert ANSWER in first.output_text
    with client.responses.stream(
        model=CHAT, input="Who built it?", previous_response_id=first.id, temperature=0, max_output_tokens=24
    ) as stream:
        events = list(stream)
    assert events[0].type == "response.created"
    end = events[-1]
    assert end.type in ("response.completed", "response.incomplete")
    second = end.response
    assert second.output_text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == second.output_text
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    with openai.OpenAI(base_url=client.base_url, api_key="myna", max_retries=0) as other:
        assert other.responses.retrieve(second.id).output_text == second.output_text


def test_a_file_goes_there_and_back(client: openai.OpenAI) -> None:
    content = b"A myna talks.\n" * 1000
    file = client.files.create(file=("myna.txt", io.BytesIO(content)), purpose="user_data")
    assert (file.filename, file.bytes) == ("myna.txt", len(content))
    assert file.id in {each.id for each in client.files.list()}
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_batch_is_done(client: openai.OpenAI) -> None:
    lines = "\n".join(json.dumps(line) for line in BATCH).encode()
    file = client.files.create(file=("batch.jsonl", lines), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    end = time.monotonic() + WAIT_SECONDS
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        assert time.monotonic() < end, batch
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.output_file_id is not None
    answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert {answer["custom_id"] for answer in answers} == {"line-0", "line-1", "line-2"}
    said = {answer["response"]["body"]["choices"][0]["message"]["content"] for answer in answers}
    assert len(said) == 1
    assert ANSWER in said.pop()


async def test_all_of_it_asynchronously(asynchronous: openai.AsyncOpenAI) -> None:
    client = asynchronous
    whole = await client.chat.completions.create(model=CHAT, messages=ASK, temperature=0, max_tokens=24)
    chunks = await client.chat.completions.create(
        model=CHAT, messages=ASK, temperature=0, max_tokens=24, stream=True, stream_options={"include_usage": True}
    )
    text, usage = "", None
    async for chunk in chunks:
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    assert text == whole.choices[0].message.content
    assert usage is not None
    assert whole.usage is not None
    assert usage.completion_tokens == whole.usage.completion_tokens
    async with client.chat.completions.stream(
        model=CHAT, messages=ASK, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, seed=1
    ) as stream:
        final = await stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert set(json.loads(call.function.arguments)) == {"city"}
    parsed = await client.chat.completions.parse(model=CHAT, messages=ASK, response_format=Bird, seed=2)
    assert isinstance(parsed.choices[0].message.parsed, Bird)
    vectors = await client.embeddings.create(model=EMBEDDING, input=list(SENTENCES), encoding_format="base64")
    assert len(vectors.data) == len(SENTENCES)
    response = await client.responses.create(model=CHAT, input=QUESTION, temperature=0, max_output_tokens=8)
    assert (await client.responses.delete(response.id)) is None
    file = await client.files.create(file=("a.jsonl", json.dumps(BATCH[0]).encode()), purpose="batch")
    batch = await client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"for": "a test"}
    )
    assert batch.metadata == {"for": "a test"}
    assert batch.id in [each.id async for each in client.batches.list()]
