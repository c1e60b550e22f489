"""``POST /v1/embeddings``: one vector a text, as numbers or as base64 of float32."""

from __future__ import annotations

import base64
import uuid
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.openai.connection import read_json, request_schema
from myna.server.openai.generation import serve_model
from myna.server.openai.types import EmbeddingBody

router = APIRouter()


@router.post("/v1/embeddings", openapi_extra=request_schema(EmbeddingBody))
async def create_embeddings(request: Request) -> Response:
    """Make vectors of texts."""
    body = EmbeddingBody.parse(await read_json(request))
    inputs = body.inputs
    texts = tuple(text for text in inputs if isinstance(text, str))
    embedding = EmbeddingRequest(
        id=f"embd-{uuid.uuid4().hex}",
        texts=texts or None,
        token_ids=None if texts else tuple(ids for ids in inputs if isinstance(ids, tuple)),
        dimensions=body.dimensions,
    )

    async def answer() -> Response:
        model = await serve_model(request, body.model)
        embedded = await model.backend.embed(embedding)
        tokens = sum(embedded.tokens)
        return json_response(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": vector}
                    for index, vector in enumerate(vectors(embedded, body.encoding_format))
                ],
                "model": model.description.name,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    return await answer_while_connected(request, answer())


def vectors(embedded: Embedded, encoding: Literal["float", "base64"]) -> list[Any]:
    """The vectors in the texts' order: a list of numbers each, or base64 of its float32, little endian."""
    size = embedded.width * 4
    cut = [embedded.vectors[start : start + size] for start in range(0, len(embedded.vectors), size)]
    if encoding == "base64":
        return [base64.b64encode(vector).decode() for vector in cut]
    return [memoryview(vector).cast("f").tolist() for vector in cut]
