"""What is one's own as a file: a chat as Markdown or JSON, and how any such file is sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from myna.errors import Refused
from myna.server.api import types
from myna.server.api.services import Copying
from myna.server.filenames import attachment
from myna.server.takeout import Form, Takeout, Takeouts

router = APIRouter(prefix="/api/chats")

FORMS: dict[Form, tuple[str, str]] = {
    "markdown": ("md", "text/markdown; charset=utf-8"),
    "json": ("json", "application/json"),
}
"""What a chat's file ends with, and its media type."""


@router.get("/{chat_id}/export")
async def export_chat(
    request: Request, owner: Copying, chat_id: types.Id, form: Annotated[Form, Query(alias="format")]
) -> StreamingResponse:
    """One chat as a file: the branch shown last as Markdown, or every message as JSON."""
    check_begun_here(request)
    takeouts: Takeouts = request.app.state.takeouts
    name, document = await takeouts.chat(owner, chat_id, form)
    ending, media_type = FORMS[form]
    return Download(document, f"{name}.{ending}", media_type)


def check_begun_here(request: Request) -> None:
    """Whether no other page's link has begun an export. Raises Refused."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        # A link elsewhere could otherwise make a server without accounts work, though nobody could read the answer.
        raise Refused("An export is begun in the application itself, not by another page.")


class Download(StreamingResponse):
    """Sends a file and ends it, also where the browser went before there was anything to send."""

    def __init__(self, file: Takeout, name: str, media_type: str) -> None:
        super().__init__(file, media_type=media_type, headers=attachment(name))
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._file.aclose()
