"""``POST /v1/moderations``: which kinds of content texts have that somebody may not want to see, by written rules."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.errors import InvalidParameter, NotFound, UnsupportedParameter
from myna.server.connected import answer_while_connected
from myna.server.errors import excerpt, json_response
from myna.server.limits import MAX_MODERATION_CHARACTERS, MAX_MODERATION_INPUTS
from myna.server.meter import admit
from myna.server.moderation import CATEGORIES, Scores, default_classifier
from myna.server.openai.body import JsonBody
from myna.server.openai.connection import read_json, request_schema
from myna.server.openai.texts import check_text

router = APIRouter()

MODEL = "myna-moderation-rules"
"""What answers, whatever was asked for."""

NAMES = (
    MODEL,
    "omni-moderation-latest",
    "omni-moderation-2024-09-26",
    "text-moderation-latest",
    "text-moderation-stable",
)
"""Names that are accepted: clients send OpenAI's."""


class ModerationBody(JsonBody):
    """``POST /v1/moderations``. A text, several, or the parts of one input."""

    input: Any
    model: str = MODEL

    @property
    def texts(self) -> list[str]:
        """The inputs; the text parts of one are one.

        Raises:
            InvalidParameter: neither texts nor parts, too many of them, or too long in all.
            UnsupportedParameter: an image.
        """
        items = self.input if isinstance(self.input, list) else [self.input]
        if not 1 <= len(items) <= MAX_MODERATION_INPUTS:
            raise InvalidParameter(
                f"'input' must hold 1 to {MAX_MODERATION_INPUTS} texts or parts; got {len(items)}.", param="input"
            )
        if all(isinstance(item, str) for item in items):
            texts = [check_text(item, "input") for item in items]
        else:
            texts = ["\n".join(_part(item, f"input[{index}]") for index, item in enumerate(items))]
        if (characters := sum(map(len, texts))) > MAX_MODERATION_CHARACTERS:
            raise InvalidParameter(
                f"'input' has {characters} characters; {MAX_MODERATION_CHARACTERS} are looked at in one request.",
                param="input",
            )
        return texts


@router.post("/v1/moderations", openapi_extra=request_schema(ModerationBody))
async def create_moderation(request: Request) -> Response:
    """Find content in texts that somebody may not want to see."""
    body = ModerationBody.parse(await read_json(request))
    texts = body.texts
    if body.model not in NAMES:
        raise NotFound(f"There is no moderation model {excerpt(body.model)}; there is {MODEL}.", param="model")
    await admit(request)

    async def answer() -> Response:
        scores = await asyncio.to_thread(lambda: list(map(default_classifier().classify, texts)))
        results = [_result(each) for each in scores]
        return json_response({"id": f"modr-{uuid.uuid4().hex}", "model": MODEL, "results": results})

    return await answer_while_connected(request, answer())


def _part(part: Any, where: str) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return check_text(text, where)
        case {"type": "image_url"}:
            raise UnsupportedParameter(
                f"'{where}' is an image, of which nothing can be told here; send text.", param=where
            )
    raise InvalidParameter(
        f'\'{where}\' must be a text, like all others, or a part such as {{"type": "text", "text": "…"}}; '
        f"got {excerpt(part)}.",
        param=where,
    )


def _result(scores: Scores) -> dict[str, Any]:
    return {
        "flagged": scores.flagged,
        "categories": scores.flags,
        "category_scores": scores.by_category,
        "category_applied_input_types": {category: ["text"] for category in CATEGORIES},
    }
