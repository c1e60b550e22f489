"""The list of chats, one chat with its tree, changing and deleting one or many."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from myna.errors import InvalidParameter, NotFound
from myna.server.api import project_types, types
from myna.server.api.services import Owner, Services
from myna.store import chats, messages, projects
from myna.store.records import Chat, now

router = APIRouter(prefix="/api/chats")

MAX_PAGE = 200
ALL_MEANS: dict[str, bool | None] = {"listed": False, "archived": True, "every": None}
"""Of which chats "all" is said, by whether they are archived."""
MARKS: dict[str, tuple[Literal["pinned_at", "archived_at"], bool]] = {
    "pin": ("pinned_at", True),
    "unpin": ("pinned_at", False),
    "archive": ("archived_at", True),
    "unarchive": ("archived_at", False),
}


@router.get("")
async def list_chats(
    services: Services,
    owner: Owner,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    archived: bool = False,
    pinned: bool | None = None,
    project: types.Id | Literal["none"] | None = None,
) -> types.ChatList:
    """A page of the owner's chats, latest first: those that are not archived, or those that are."""
    which = chats.Filter(archived, pinned, project)
    async with services.database.read(owner) as scope:
        found = await chats.page(scope, None if before is None else _read_cursor(before), limit + 1, which)
    page = found[:limit]
    more = len(found) > limit
    return types.ChatList.model_validate({"chats": page, "next": _cursor(page[-1]) if more else None})


@router.post("/bulk")
async def change_many(services: Services, owner: Owner, request: project_types.Bulk) -> project_types.BulkDone:
    """Archive, restore, pin, unpin, move or delete many chats in one transaction."""
    named = request.ids or []
    chosen = named if request.all is None else chats.Filter(archived=ALL_MEANS[request.all])
    if request.action == "delete":
        changed = await services.runs.delete_chats(owner, chosen)
        found = frozenset(changed)
    else:
        async with services.database.write(owner) as scope:
            if request.action == "move":
                if request.project_id is not None:
                    await projects.get(scope, request.project_id)
                changed = await chats.move_all(scope, chosen, request.project_id)
            else:
                mark, is_set = MARKS[request.action]
                changed = await chats.mark_all(scope, chosen, mark, now() if is_set else None)
            found = frozenset(await chats.of_ids(scope, named))
    missing = [chat_id for chat_id in named if chat_id not in found]
    return project_types.BulkDone(changed=changed, missing=missing)


@router.get("/{chat_id}")
async def open_chat(services: Services, owner: Owner, chat_id: types.Id) -> types.OpenedChat:
    """A chat, its tree, the last messages of the branch shown, and its open runs."""
    return types.OpenedChat.model_validate(
        await (await services.home(owner, chat=chat_id)).runs.open_chat(owner, chat_id)
    )


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
    home = await services.home(owner, chat=chat_id)
    async with home.database.write(owner) as scope:
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
    if not await services.temporary.drop(owner, chat_id):
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
