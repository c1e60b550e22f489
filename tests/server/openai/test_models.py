"""The list of models, as the official client reads it."""

from __future__ import annotations

import httpx2
import openai
import pytest

from tests.server.scripted import MODEL


def test_the_official_client_lists_and_retrieves(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        models = list(client.models.list())
        assert [model.id for model in models] == [MODEL, f"{MODEL}+pirate"]
        assert models[0].object == "model"
        assert client.models.retrieve(MODEL).id == MODEL
        with pytest.raises(openai.NotFoundError, match="scripted:1b"):
            client.models.retrieve("scripted:2b")


async def test_default_is_a_name(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/models/default")).json()["id"] == MODEL
