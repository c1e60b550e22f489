"""``POST /v1/rerank``: documents in the order in which they answer a query.

Not OpenAI's: requests are Jina's and Cohere's, whose clients also ask under ``/v2/rerank`` and ``/rerank``, as vLLM
serves it. Sources: https://api.jina.ai/redoc, https://docs.cohere.com/reference/rerank,
https://docs.vllm.ai/en/latest/models/pooling_models/scoring/
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from myna.engine.embedding import EmbeddingRequest
from myna.errors import InvalidParameter
from myna.server.connected import answer_while_connected
from myna.server.errors import excerpt, json_response
from myna.server.limits import MAX_EMBEDDING_INPUTS
from myna.server.openai.body import Body, Refusal
from myna.server.openai.connection import read_json, request_schema
from myna.server.openai.generation import serve_model
from myna.server.openai.texts import check_text

router = APIRouter()

_WHOLE = "a document that is too long is refused with both numbers, never cut"


class RerankBody(Body):
    """``POST /v1/rerank``. A document is a text, or an object with a ``text``; ``top_n`` keeps the best so many."""

    unsupported: ClassVar[dict[str, Refusal]] = {
        "max_chunks_per_doc": Refusal(_WHOLE),
        "max_tokens_per_doc": Refusal(_WHOLE),
        "truncate_prompt_tokens": Refusal(_WHOLE),
        "rank_fields": Refusal("of a document the 'text' counts", (["text"],)),
        "return_embeddings": Refusal("they come from /v1/embeddings", (False,)),
    }

    query: str
    documents: Annotated[list[Any], Field(min_length=1, max_length=MAX_EMBEDDING_INPUTS)]
    top_n: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    return_documents: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The documents' texts.

        Raises:
            InvalidParameter: one is neither a text nor has one, or is empty.
        """
        return tuple(_text(document, f"documents[{index}]") for index, document in enumerate(self.documents))


@router.post("/v1/rerank", openapi_extra=request_schema(RerankBody))
@router.post("/v2/rerank", include_in_schema=False)
@router.post("/rerank", include_in_schema=False)
async def rerank(request: Request) -> Response:
    """Sort documents by how well they answer a query."""
    body = RerankBody.parse(await read_json(request))
    if not body.query:
        raise InvalidParameter("'query' is empty.", param="query")
    texts = body.texts
    scoring = EmbeddingRequest(f"rerank-{uuid.uuid4().hex}", texts, query=check_text(body.query, "query"))

    async def answer() -> Response:
        model = await serve_model(request, body.model)
        scored = await model.backend.embed(scoring)
        scores = memoryview(scored.vectors).cast("f").tolist()
        order = sorted(range(len(texts)), key=scores.__getitem__, reverse=True)[: body.top_n]
        tokens = sum(scored.tokens)
        return json_response(
            {
                "id": scoring.id,
                "model": model.description.name,
                "results": [
                    {"index": index, "relevance_score": scores[index]}
                    | ({"document": {"text": texts[index]}} if body.return_documents else {})
                    for index in order
                ],
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    return await answer_while_connected(request, answer())


def _text(document: Any, where: str) -> str:
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str) or not text:
        raise InvalidParameter(
            f"'{where}' must be a text that is not empty, or an object with such a 'text'; got {excerpt(document)}.",
            param=where,
        )
    return check_text(text, where)
