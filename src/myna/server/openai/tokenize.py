"""``POST /v1/tokenize`` and ``/v1/detokenize``, under the names that vLLM gave their fields."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import InvalidParameter
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.openai.body import Body, Name
from myna.server.openai.connection import read_json, request_schema
from myna.server.openai.generation import serve_model
from myna.server.openai.messages import parse_messages
from myna.server.openai.texts import TokenId, check_text

router = APIRouter(prefix="/v1")


class TokenizeBody(Body):
    """A text, or a conversation as the model would get it.

    ``add_special_tokens``: with the token that begins the model's texts, if it has one; a conversation always has what
    belongs to it. ``add_generation_prompt`` is refused when false: where a conversation ends, an answer begins.
    """

    prompt: str | None = None
    messages: list[Any] | None = None
    dialect: Name | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    return_token_strs: bool = False

    def generation(self) -> GenerationRequest:
        """The request whose prompt is meant.

        Raises:
            InvalidParameter: a text and a conversation, or neither; a conversation without what belongs to it.
        """
        if (self.prompt is None) == (self.messages is None):
            raise InvalidParameter("Send either 'prompt' or 'messages'.", param="prompt")
        for name in ("add_special_tokens", "add_generation_prompt"):
            if self.messages is not None and not getattr(self, name):
                raise InvalidParameter(f"'{name}' may not be false with 'messages'.", param=name)
        return GenerationRequest(
            id=f"tok-{uuid.uuid4().hex}",
            params=SamplingParams(),
            messages=None if self.messages is None else parse_messages(self.messages),
            text=None if self.prompt is None else check_text(self.prompt, "prompt"),
            dialect=self.dialect,
        )


class DetokenizeBody(Body):
    """Tokens of one text."""

    tokens: Annotated[list[TokenId], Field(max_length=1 << 22)]


@router.post("/tokenize", openapi_extra=request_schema(TokenizeBody))
async def tokenize(request: Request) -> Response:
    """The tokens of a text or of a conversation, with their number and how many the model takes at most."""
    body = TokenizeBody.parse(await read_json(request))
    generation = body.generation()

    async def answer() -> Response:
        model = await serve_model(request, body.model)
        if generation.text is not None and not (body.add_special_tokens and generation.text):
            tokens = await model.backend.tokenize(generation.text)
        else:
            tokens = await model.backend.encode_prompt(generation)
        return json_response(
            {
                "count": len(tokens),
                "max_model_len": model.description.context,
                "tokens": tokens,
                "token_strs": await model.backend.spell(tokens) if body.return_token_strs else None,
            }
        )

    return await answer_while_connected(request, answer())


@router.post("/detokenize", openapi_extra=request_schema(DetokenizeBody))
async def detokenize(request: Request) -> Response:
    """The text of tokens; control tokens have none."""
    body = DetokenizeBody.parse(await read_json(request))

    async def answer() -> Response:
        model = await serve_model(request, body.model)
        return json_response({"prompt": await model.backend.detokenize(body.tokens)})

    return await answer_while_connected(request, answer())
