"""A program written for Ollama."""

from __future__ import annotations

from typing import Any

import ollama

from tests.clients.conftest import CHAT, EMBEDDING
from tests.clients.questions import ANSWER, QUESTION, SENTENCES, Bird, nearer, weather
from tests.processes import Server

ASK: Any = [{"role": "user", "content": QUESTION}]
GREEDY = {"temperature": 0, "num_predict": 24}


def test_chat_tools_forms_and_vectors(shop: Server) -> None:
    with ollama.Client(host=shop.url) as client:
        whole = client.chat(model=CHAT, messages=ASK, options=GREEDY)
        assert ANSWER in (whole.message.content or "")
        parts = client.chat(model=CHAT, messages=ASK, options=GREEDY, stream=True)
        assert "".join(part.message.content or "" for part in parts) == whole.message.content
        formed = client.chat(model=CHAT, messages=ASK, format=Bird.model_json_schema(), options={"temperature": 0})
        assert Bird.model_validate_json(formed.message.content or "")
        told = client.chat(model=CHAT, messages=ASK, tools=[weather], options=GREEDY)
        assert told.message.role == "assistant"
        assert nearer(client.embed(model=EMBEDDING, input=list(SENTENCES)).embeddings)
        assert {CHAT, EMBEDDING} <= {model.model for model in client.list().models}
        assert client.show(CHAT).capabilities


async def test_the_same_asynchronously(shop: Server) -> None:
    async with ollama.AsyncClient(host=shop.url) as client:
        whole = await client.generate(model=CHAT, prompt=QUESTION, options=GREEDY)
        parts = await client.generate(model=CHAT, prompt=QUESTION, options=GREEDY, stream=True)
        assert "".join([part.response async for part in parts]) == whole.response
