"""A program written for Anthropic's messages, which have neither vectors nor files here: see docs/api.md."""

from __future__ import annotations

from typing import Any

import anthropic

from tests.clients.conftest import CHAT
from tests.clients.questions import ANSWER, QUESTION, WEATHER, weather
from tests.processes import Server

ASK: Any = [{"role": "user", "content": QUESTION}]
GREEDY: Any = {"model": CHAT, "max_tokens": 24, "extra_body": {"temperature": 0}}  # newer clients have no argument
TOOLS: Any = [{"name": "weather", "description": weather.__doc__, "input_schema": WEATHER}]


def test_a_talk_with_a_tool(shop: Server) -> None:
    with anthropic.Anthropic(base_url=shop.url, api_key="myna", max_retries=0) as client:
        whole = client.messages.create(messages=ASK, **GREEDY)
        assert whole.content[0].type == "text"
        assert ANSWER in whole.content[0].text
        with client.messages.stream(messages=ASK, **GREEDY) as stream:
            assert "".join(stream.text_stream) == whole.content[0].text
        asked: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
        first = client.messages.create(
            messages=asked, tools=TOOLS, tool_choice={"type": "tool", "name": "weather"}, **GREEDY | {"max_tokens": 200}
        )
        assert first.stop_reason == "tool_use"
        use = next(block for block in first.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": use.id, "content": weather(**use.input)}
        told = [*asked, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        second = client.messages.create(messages=told, tools=TOOLS, tool_choice={"type": "none"}, **GREEDY)
        assert second.content[0].type == "text"
        counted = client.messages.count_tokens(model=CHAT, messages=ASK)
        assert counted.input_tokens == whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)


async def test_the_same_asynchronously(shop: Server) -> None:
    async with (
        anthropic.AsyncAnthropic(base_url=shop.url, api_key="myna", max_retries=0) as client,
        client.messages.stream(messages=ASK, **GREEDY) as stream,
    ):
        said = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert final.content[0].type == "text"
    assert "".join(said) == final.content[0].text
