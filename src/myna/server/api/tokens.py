"""How likely each token of an answer was."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from myna.engine.request import TokenLogprob
from myna.errors import InvalidParameter
from myna.runs import scoring
from myna.server.api import types
from myna.server.api.services import Admitted, Services
from myna.server.caller import callers_model
from myna.server.connected import answer_while_connected
from myna.store import messages

router = APIRouter(prefix="/api")

MOST_TOKENS = 1024
"""Of one answer to the browser, which asks for the next ones as it needs them."""
MOST_RIVALS = 10


class ScoreRequest(types.Request):
    """Body of ``POST /api/messages/{id}/tokens``."""

    first: int = Field(default=0, ge=0, lt=2**31)
    count: int = Field(default=512, ge=1, le=MOST_TOKENS)
    top: int = Field(default=5, ge=0, le=MOST_RIVALS)


class Rival(types.Answer):
    """A token at a place of an answer: ``text``, or ``bytes`` where it is part of a character only."""

    id: int
    text: str | None
    bytes: list[int] | None
    logprob: float
    control: bool


class Token(Rival):
    """One of an answer's tokens; ``top`` has the likeliest at its place, best first."""

    top: list[Rival]


class Tokens(types.Answer):
    """Some of an answer's tokens; see `myna.runs.scoring.Scores`."""

    tokens: list[Token]
    first: int
    total: int
    model: str
    generated: bool
    unchanged: bool | None


@router.post("/messages/{message_id}/tokens", response_model=Tokens)
async def score_tokens(
    services: Services, owner: Admitted, message_id: types.Id, asked: Annotated[ScoreRequest, Field()], request: Request
) -> Response:
    """Read an answer again and tell how likely each of its tokens was. Nothing is stored."""

    async def work() -> Response:
        home = await services.home(owner, message=message_id)
        async with AsyncExitStack() as reading:
            scope = await reading.enter_async_context(home.database.read(owner))
            elsewhere = home.profile
            profile = None if elsewhere is None else await reading.enter_async_context(elsewhere.read(owner))
            answer = await messages.get(scope, message_id)
            if answer.role != "assistant":
                raise InvalidParameter(
                    f"Message {message_id} is no answer; only what a model wrote is scored.", param="message"
                )
            name = answer.model or services.manager.default
            turns = await scoring.turns_above(scope, answer, name, profile=profile)
        backend = callers_model(request, await services.manager.get(name), name)
        scores = await scoring.score(
            replace(backend, background=True), turns, answer, first=asked.first, count=asked.count, top=asked.top
        )
        control = frozenset(scores.control_ids)
        found = {
            "tokens": [token_json(entry, control) for entry in scores.tokens],
            "first": scores.first,
            "total": scores.total,
            "model": name,
            "generated": scores.generated,
            "unchanged": scores.unchanged,
        }
        # Thousands of small objects: encoded as they are, not validated one by one.
        return Response(msgspec.json.encode(found), media_type="application/json")

    return await answer_while_connected(request, work())


def token_json(entry: TokenLogprob, control: Collection[int]) -> dict[str, object]:
    """A scored token as the browser gets it; ``control`` are the ids of tokens that are marks and no text."""
    rivals = [_spelt(token_id, token, logprob, token_id in control) for token_id, token, logprob in entry.top]
    return _spelt(entry.token_id, entry.token, entry.logprob, entry.token_id in control) | {"top": rivals}


def _spelt(token_id: int, token: bytes, logprob: float, control: bool) -> dict[str, object]:
    try:
        text, raw = token.decode(), None
    except UnicodeDecodeError:
        text, raw = None, list(token)
    return {"id": token_id, "text": text, "bytes": raw, "logprob": max(logprob, -1e9), "control": control}
