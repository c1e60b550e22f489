"""Documents in the order in which they answer a query, under every path that clients know."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from myna.errors import InvalidParameter, PromptTooLong
from myna.server.limits import MAX_EMBEDDING_INPUTS
from tests.server.scripted import MODEL, ScriptedBackend

DOCUMENTS = ["a fox", {"text": "a myna is a bird", "source": 7}, "what is it"]
ASKED = {"model": MODEL, "query": "what is a bird", "documents": DOCUMENTS}


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
async def test_documents_are_sorted_by_their_scores(
    client: httpx2.AsyncClient, backend: ScriptedBackend, path: str
) -> None:
    answer = (await client.post(path, json=ASKED)).json()
    assert [each["index"] for each in answer["results"]] == [1, 2, 0]
    assert [each["relevance_score"] for each in answer["results"]] == pytest.approx([0.4, 0.2, 0.1])
    assert {"document"} & answer["results"][0].keys() == set()
    assert answer["usage"] == {"prompt_tokens": 10, "total_tokens": 10}
    assert answer["model"] == MODEL
    [asked] = backend.embeddings
    assert (asked.query, asked.texts) == ("what is a bird", ("a fox", "a myna is a bird", "what is it"))


async def test_the_best_with_their_texts(client: httpx2.AsyncClient) -> None:
    answer = (await client.post("/v1/rerank", json=ASKED | {"top_n": 2, "return_documents": True})).json()
    assert [each["document"] for each in answer["results"]] == [{"text": "a myna is a bird"}, {"text": "what is it"}]
    tied = (await client.post("/v1/rerank", json=ASKED | {"documents": ["x", "y", "z"], "top_n": 9})).json()
    assert [each["index"] for each in tied["results"]] == [0, 1, 2], "equals keep their order"


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": ["a"]}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", ""]}, "documents[1]"),
        ({"documents": ["a", {"title": "b"}]}, "documents[1]"),
        ({"documents": [1]}, "documents[0]"),
        ({"documents": ["a"] * (MAX_EMBEDDING_INPUTS + 1)}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": "2"}, "top_n"),
        ({"max_tokens_per_doc": 512}, "max_tokens_per_doc"),
        ({"rank_fields": ["title"]}, "rank_fields"),
        ({"threshold": 1}, "threshold"),
    ],
)
async def test_parameters_are_refused_by_name(client: httpx2.AsyncClient, extra: dict[str, Any], param: str) -> None:
    response = await client.post("/v1/rerank", json=ASKED | extra)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_what_the_model_refuses_names_it_too(client: httpx2.AsyncClient, backend: ScriptedBackend) -> None:
    backend.failure = PromptTooLong(700, 512, param="documents[2]", what="pair of query and document")
    error = (await client.post("/v1/rerank", json=ASKED)).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "documents[2]")
    assert "700" in error["message"]
    backend.failure = InvalidParameter("This model writes text.", param="model")
    assert (await client.post("/v1/rerank", json=ASKED)).json()["error"]["param"] == "model"
