"""Sending a message, and changing, copying and deleting one."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Response

from myna.errors import Conflict, InvalidParameter
from myna.runs.service import ChatSettings, NewMessage
from myna.server.api import types
from myna.server.api.runs import new_run
from myna.server.api.services import Admitted, Copying, Owner, Services
from myna.store import branches, chats, messages

router = APIRouter(prefix="/api")

MAX_IDS = 100
TAKEN = 3
"""Times its size that a text takes in the database: as text, as the tokens it was made of, and as words to be found."""
_ID = re.compile(types.ID_PATTERN)


@router.post("/chats/{chat_id}/messages", status_code=201)
async def send(
    services: Services, owner: Admitted, chat_id: types.Id, request: types.SendRequest, response: Response
) -> types.Created:
    """Store a user's message and begin to answer it; 200 instead of 201 when that was done before."""
    message = NewMessage(**request.message.model_dump())
    settings = ChatSettings(request.chat.system_prompt, types.given(request.chat.parameters), request.chat.project_id)
    run = new_run(services, request.run)
    if request.chat.temporary:
        created = await services.temporary.send(owner, chat_id, message, run, settings)
    else:
        home = await services.home(owner, chat=chat_id)
        created = await home.runs.send(owner, chat_id, message, run, settings)
    response.status_code = 201 if created.is_new else 200
    return types.Created.model_validate(created)


@router.get("/chats/{chat_id}/messages")
async def contents(
    services: Services, owner: Owner, chat_id: types.Id, ids: Annotated[str, Query(max_length=MAX_IDS * 37)]
) -> types.Contents:
    """Messages of a chat by their ids, separated by commas; those that are gone are left out."""
    asked = ids.split(",")
    if len(asked) > MAX_IDS or not all(map(_ID.fullmatch, asked)):
        raise InvalidParameter(f"Give 1 to {MAX_IDS} ids of messages, separated by commas.", param="ids")
    home = await services.home(owner, chat=chat_id)
    found, open_runs = await home.runs.contents(owner, chat_id, asked)
    return types.Contents.model_validate({"messages": found, "runs": open_runs})


@router.patch("/messages/{message_id}")
async def edit_message(services: Services, owner: Owner, message_id: types.Id, patch: types.TextPatch) -> types.Message:
    """Change a message's text in place."""
    home = await services.home(owner, message=message_id)
    async with home.database.write(owner) as scope:
        edited = await branches.edit(scope, message_id, patch.text, known=patch.edited_at, overwrite=patch.overwrite)
    return types.Message.model_validate(edited)


@router.post("/messages/{message_id}/copy", status_code=201)
async def copy_message(services: Services, owner: Copying, message_id: types.Id, copy: types.NewCopy) -> types.Copied:
    """Put another version of a message beside it."""
    home = await services.home(owner, message=message_id)
    async with home.database.write(owner) as scope:
        chat, message = await branches.copy(scope, message_id, copy.id, copy.text)
    return types.Copied.model_validate({"chat": chat, "message": message})


@router.post("/chats/{chat_id}/fork", status_code=201)
async def fork_chat(services: Services, owner: Copying, chat_id: types.Id, fork: types.Fork) -> types.Chat:
    """Make a chat of a branch, where the disk has room for another."""
    if services.temporary.get(owner, chat_id) is not None:
        raise Conflict("A temporary chat cannot be forked: nothing of it is kept.", param="chat")
    async with services.database.read(owner) as scope:
        size = await chats.size(scope, chat_id)
    await services.database.check_room(TAKEN * size)
    async with services.database.write(owner) as scope:
        made = await branches.fork(scope, chat_id, fork.message_id, fork.id, fork.title)
    return types.Chat.model_validate(made)


@router.delete("/messages/{message_id}", status_code=204)
async def delete_message(services: Services, owner: Owner, message_id: types.Id) -> None:
    """Delete one message; its children move to its parent."""
    home = await services.home(owner, message=message_id)
    async with home.database.write(owner) as scope:
        await messages.delete(scope, message_id)
