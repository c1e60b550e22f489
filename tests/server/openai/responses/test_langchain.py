"""LangChain's OpenAI class where it uses responses: text, a stream, a form, tools, thoughts that go to and fro."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from myna.chat import ReasoningPart
from myna.models.dialects.answer import AnswerSyntax
from tests.server.openai.responses.test_create import CALL
from tests.server.scripted import MODEL, ScriptedBackend


class Bird(BaseModel):
    name: str


@tool
def weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"rain in {city}"


@pytest.fixture
def model(stored_address: str) -> ChatOpenAI:
    return ChatOpenAI(
        model=MODEL,
        base_url=f"{stored_address}/v1",
        api_key=SecretStr("none"),
        use_responses_api=True,
        output_version="responses/v1",
        max_retries=0,
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Pydantic serializer warnings")
def test_a_chain_of_its_own(model: ChatOpenAI, backend: ScriptedBackend) -> None:
    assert model.invoke("Hi").text == "Hello there!"
    assert "".join(chunk.text for chunk in model.stream("Hi")) == "Hello there!"

    backend.answer = ('{"name":', ' "Myna"}')
    assert model.with_structured_output(Bird).invoke("Name a bird") == Bird(name="Myna")

    backend.syntax, backend.answer = AnswerSyntax("hermes"), (CALL,)
    calling = model.bind_tools([weather]).invoke("Weather?")
    assert isinstance(calling, AIMessage)
    (call,) = calling.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})

    backend.syntax, backend.answer = AnswerSyntax(thinks=True), ("<think>Hm", "</think>", "Rain.")
    result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
    answer = model.bind_tools([weather]).invoke([HumanMessage("Weather?"), calling, result])
    assert answer.text == "Rain."

    model.invoke([HumanMessage("Weather?"), answer, HumanMessage("And now?")])
    _, said, _ = backend.requests[-1].messages or ()
    assert ReasoningPart("Hm") in said.parts
    assert said.text == "Rain."
