"""What OpenAI's API has and Myna has not: each such endpoint answers 501 and says what is missing.

Source: https://platform.openai.com/docs/api-reference. docs/api.md shows this table; a test holds both to each other,
and to what the official client can ask for.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.server.errors import plain_error

ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Missing:
    """Endpoints that are missing for one reason.

    Attributes:
        paths: below ``/v1``; each stands for itself and, unless ``methods`` says which are meant, all below it.
        state: ``not yet`` where it is to come, ``refused`` where it has no place here.
        reason: what is missing, as a sentence.
        methods: of one exact path; ``{…}`` in it stands for an id.
    """

    paths: tuple[str, ...]
    state: Literal["not yet", "refused"]
    reason: str
    methods: tuple[str, ...] = ()


MISSING: tuple[Missing, ...] = (
    Missing(
        ("/vector_stores",),
        "not yet",
        "There is no search over files yet; rank texts with /v1/embeddings or /v1/rerank.",
    ),
    Missing(("/audio",), "not yet", "There are no models for speech yet."),
    Missing(("/images",), "not yet", "There are no models that make images yet."),
    Missing(("/videos",), "not yet", "There are no models that make videos yet."),
    Missing(("/realtime", "/live"), "not yet", "There are no models for speech yet, so there is nothing to talk to."),
    Missing(("/fine_tuning",), "not yet", "Models cannot be trained here yet; adapters that were trained are loaded."),
    Missing(("/evals",), "not yet", "Evaluations are not built yet."),
    Missing(("/containers",), "not yet", "There is no sandbox for code yet."),
    Missing(("/skills",), "not yet", "There is no sandbox for code yet, and skills run in one."),
    Missing(
        ("/assistants", "/threads"), "refused", "OpenAI has retired assistants; send messages to /v1/chat/completions."
    ),
    Missing(
        ("/agents", "/chatkit", "/vaults"), "refused", "Agents that OpenAI runs are a service of theirs, not of models."
    ),
    Missing(
        ("/safety", "/decisions", "/content_provenance_checks"),
        "refused",
        "Reviews of content are a service of OpenAI's; Myna keeps no watch over what is said.",
    ),
    Missing(
        ("/organization", "/projects"),
        "refused",
        "Organisations and projects are OpenAI's way to sell; who runs Myna owns all of it.",
    ),
)

_UNREAD = re.compile(
    "/v1(?:{})(?:/|$)".format("|".join(re.escape(path) for row in MISSING if not row.methods for path in row.paths))
)


def create_router() -> APIRouter:
    """Every missing endpoint; to be included after all that exist. They are no part of the OpenAPI document."""
    router = APIRouter(prefix="/v1", include_in_schema=False)
    for missing in MISSING:
        for path in missing.paths:
            methods = list(missing.methods or ALL_METHODS)
            router.add_api_route(path, _refusal(missing), methods=methods)
            if not missing.methods:
                router.add_api_route(f"{path}/{{rest:path}}", _refusal(missing), methods=methods)
    return router


def is_missing(path: str) -> bool:
    """Whether all that is asked for under a path is answered with 501, so that nobody reads a body."""
    return _UNREAD.match(path) is not None


def _refusal(missing: Missing) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        response = plain_error(501, missing.reason, code="not_implemented")
        response.headers["x-should-retry"] = "false"  # the official client would try again after any other 5xx
        return response

    return refuse
