"""The list of chats, one chat with its tree, renaming and deleting it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from myna.errors import InvalidParameter, NotFound
from myna.server.api import types
from myna.server.api.services import Owner, Services
from myna.store import chats, messages, projects
from myna.store.records import Chat, now

router = APIRouter(prefix="/api/chats")

MAX_PAGE = 200


@router.get("")
async def list_chats(
    services: Services, owner: Owner, before: str | None = None, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50
) -> types.ChatList:
    """A page of the owner's chats, latest first."""
    async with services.database.read(owner) as scope:
        found = await chats.page(scope, None if before is None else _read_cursor(before), limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return types.ChatList.model_validate({"chats": page, "next": _cursor(page[-1]) if more else None})


@router.get("/{chat_id}")
async def open_chat(services: Services, owner: Owner, chat_id: types.Id) -> types.OpenedChat:
    """A chat, its whole tree and its open runs."""
    return types.OpenedChat.model_validate(await services.runs.open_chat(owner, chat_id))


@router.patch("/{chat_id}")
async def change_chat(services: Services, owner: Owner, chat_id: types.Id, patch: types.ChatPatch) -> types.Chat:
    """Rename a chat, choose its model, remember which branch is shown, pin it, archive it, put it into a project."""
    values = patch.model_dump(exclude_unset=True)
    if not values:
        raise InvalidParameter(
            "Nothing to change: give title, model, leaf_id, pinned, archived, project_id, system_prompt or parameters."
        )
    if "model" in values:
        values["model"] = services.library.canonical(values["model"])
    if "title" in values:
        values["titled_by"] = "user"
    for mark in ("pinned", "archived"):
        if mark in values:
            values[f"{mark}_at"] = now() if values.pop(mark) else None
    if "parameters" in values:
        values["parameters"] = types.given(patch.parameters)
    async with services.database.write(owner) as scope:
        await chats.get(scope, chat_id)
        if "leaf_id" in values:
            leaf = (await messages.of_ids(scope, [patch.leaf_id])).get(patch.leaf_id)
            if leaf is None or leaf.chat_id != chat_id:
                raise NotFound(f"There is no message {patch.leaf_id} in this chat.", param="leaf_id")
        if patch.project_id is not None:
            await projects.get(scope, patch.project_id)
        return types.Chat.model_validate(await chats.update(scope, chat_id, **values))


@router.delete("/{chat_id}", status_code=204)
async def delete_chat(services: Services, owner: Owner, chat_id: types.Id) -> None:
    """Delete a chat with everything in it, stopping its runs."""
    await services.runs.delete_chat(owner, chat_id)


def _cursor(chat: Chat) -> str:
    return f"{chat.updated_at}.{chat.id}"


def _read_cursor(cursor: str) -> tuple[int, str]:
    at, _, chat_id = cursor.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 19 and len(chat_id) == 36):
        raise InvalidParameter(
            f"{cursor!r} is not a cursor of this list; use `next` of the page before.", param="before"
        )
    return int(at), chat_id
