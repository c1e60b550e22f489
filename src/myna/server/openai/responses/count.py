"""``POST /v1/responses/input_tokens``."""

from __future__ import annotations

from typing import Annotated, ClassVar

from fastapi import APIRouter, Request
from pydantic import StringConstraints
from starlette.responses import Response

from myna.errors import MynaError
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.identity import owner_of
from myna.server.openai.body import Refusal
from myna.server.openai.connection import database_of, read_json, request_schema
from myna.server.openai.generation import DEFAULT_MODEL_ALIAS, serve_model
from myna.server.openai.responses.context import fitted, in_terms_of_responses, read_context
from myna.server.openai.responses.create import prompt_of
from myna.server.openai.responses.types import ContextBody
from myna.store.pages import new_id

router = APIRouter(prefix="/v1/responses")


class CountBody(ContextBody):
    """What a response would be asked for; nothing is generated. Without a model it is the default one's count."""

    unsupported: ClassVar[dict[str, Refusal]] = {
        "personality": Refusal("models here have none to choose from; say in 'instructions' how to answer")
    }

    model: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = DEFAULT_MODEL_ALIAS


@router.post("/input_tokens", openapi_extra=request_schema(CountBody))
async def count_input_tokens(request: Request) -> Response:
    """How many tokens a model would be given for a response."""
    body = CountBody.parse(await read_json(request))
    use, effort = body.tool_use, body.effort
    _ = body.text_form  # the form is no part of the prompt, but has to be one

    async def answer() -> Response:
        context = await read_context(database_of(request), owner_of(request), body)
        model = await serve_model(request, body.model)
        generation = prompt_of(new_id("count_"), body, context, use, effort)
        try:
            if body.truncation == "auto":
                generation = await fitted(model, generation)
            tokens = await model.backend.encode_prompt(generation)
        except MynaError as error:
            raise in_terms_of_responses(error) from None
        return json_response({"object": "response.input_tokens", "input_tokens": len(tokens)})

    return await answer_while_connected(request, answer())
