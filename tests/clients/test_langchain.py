"""A program written with LangChain's classes for OpenAI."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from tests.clients.conftest import CHAT, EMBEDDING
from tests.clients.questions import ANSWER, QUESTION, SENTENCES, Bird, nearer, weather
from tests.processes import Server

KEY = SecretStr("myna")


@pytest.fixture
def model(shop: Server) -> ChatOpenAI:
    return ChatOpenAI(
        model=CHAT, base_url=f"{shop.url}/v1", api_key=KEY, temperature=0, max_completion_tokens=24, max_retries=0
    )


def test_chat_whole_streamed_and_many_at_once(model: ChatOpenAI) -> None:
    whole = model.invoke(QUESTION)
    assert ANSWER in whole.text
    assert whole.usage_metadata is not None
    assert "".join(chunk.text for chunk in model.stream(QUESTION)) == whole.text
    assert [answer.text for answer in model.batch([QUESTION, QUESTION])] == [whole.text] * 2


async def test_chat_asynchronously(model: ChatOpenAI) -> None:
    whole = await model.ainvoke(QUESTION)
    assert "".join([chunk.text async for chunk in model.astream(QUESTION)]) == whole.text


def test_a_tool_is_bound_and_called(model: ChatOpenAI) -> None:
    bound = model.bind_tools([tool(weather)], tool_choice="weather", strict=True)
    asked = HumanMessage("What is the weather in Oslo?")
    called = bound.bind(max_completion_tokens=200).invoke([asked])
    (call,) = called.tool_calls
    result = ToolMessage(weather(**call["args"]), tool_call_id=call["id"])
    assert model.invoke([asked, called, result]).text


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_a_form_is_kept(model: ChatOpenAI, method: str) -> None:
    formed = model.model_copy(update={"max_tokens": 200}).with_structured_output(Bird, method=method, strict=True)
    assert isinstance(formed.invoke(QUESTION), Bird)


def test_the_responses_api_is_used_where_asked(shop: Server) -> None:
    model = ChatOpenAI(
        model=CHAT, base_url=f"{shop.url}/v1", api_key=KEY, temperature=0, use_responses_api=True, max_retries=0
    )
    assert ANSWER in model.invoke(QUESTION).text


def test_plain_text_is_carried_on(shop: Server) -> None:
    model = OpenAI(model=CHAT, base_url=f"{shop.url}/v1", api_key=KEY, temperature=0, max_tokens=8, max_retries=0)
    assert ANSWER in model.invoke("The capital of France is")


def test_vectors(shop: Server) -> None:
    model = OpenAIEmbeddings(
        model=EMBEDDING, base_url=f"{shop.url}/v1", api_key=KEY, check_embedding_ctx_length=False, max_retries=0
    )
    assert nearer(model.embed_documents(list(SENTENCES)))
