"""The Responses API: items in, a model's items out, as a stream of named events; stored, continued, in background."""

from __future__ import annotations

from fastapi import APIRouter

from myna.server.openai.responses import compact, count, create, stored
from myna.server.openai.responses.service import ResponseService, open_responses

__all__ = ["ResponseService", "open_responses", "router"]

router = APIRouter()
for _module in (create, count, compact, stored):
    router.include_router(_module.router)
