"""``POST /api/embed``, and ``/api/embeddings`` for one text, as it was called before."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.errors import InvalidParameter
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.limits import MAX_EMBEDDING_INPUTS
from myna.server.ollama.wire import Body, create_router, nanoseconds
from myna.server.openai.connection import request_schema
from myna.server.openai.embeddings import vectors
from myna.server.openai.generation import serve_model
from myna.server.openai.texts import check_text

router = create_router()


class EmbedBody(Body):
    """``POST /api/embed``. A text that is too long is refused, not cut, whatever ``truncate`` says."""

    input: str | Annotated[list[str], Field(max_length=MAX_EMBEDDING_INPUTS)] = ""
    dimensions: Annotated[int, Field(ge=0, lt=1 << 31)] = 0


class EmbeddingsBody(Body):
    """``POST /api/embeddings``."""

    prompt: str = ""


@router.post("/embed", openapi_extra=request_schema(EmbedBody))
async def embed(request: Request) -> Response:
    """Make vectors of texts."""
    body = await EmbedBody.read(request)
    texts = body.input if isinstance(body.input, list) else [body.input] if body.input else []
    began = time.perf_counter()

    async def answer() -> Response:
        embedded = await _embed(request, body.name, texts, body.dimensions) if texts else None
        return json_response(
            {
                "model": body.model,
                "embeddings": vectors(embedded, "float") if embedded else [],
                "total_duration": nanoseconds(time.perf_counter() - began),
                "load_duration": 0,
                "prompt_eval_count": sum(embedded.tokens) if embedded else 0,
            }
        )

    return await answer_while_connected(request, answer())


@router.post("/embeddings", openapi_extra=request_schema(EmbeddingsBody))
async def embeddings(request: Request) -> Response:
    """Make a vector of a text."""
    body = await EmbeddingsBody.read(request)

    async def answer() -> Response:
        embedded = await _embed(request, body.name, [body.prompt], 0) if body.prompt else None
        vector: list[Any] = vectors(embedded, "float")[0] if embedded else []
        return json_response({"embedding": vector})

    return await answer_while_connected(request, answer())


async def _embed(request: Request, name: str, texts: list[str], dimensions: int) -> Embedded:
    if "" in texts:
        raise InvalidParameter("'input' holds an empty text; leave it out.", param="input")
    checked = tuple(check_text(text, "input") for text in texts)
    model = await serve_model(request, name)
    return await model.backend.embed(
        EmbeddingRequest(id=f"ollama-{uuid.uuid4().hex}", texts=checked, dimensions=dimensions or None)
    )
