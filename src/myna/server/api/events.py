"""The one WebSocket of a tab: what it follows comes in, events and changes go out.

Sending waits for the browser, and nothing is queued for it meanwhile (see `myna.runs.followers`), so a tab that does
not read costs its cursors. What it sends is answered in its turn, so that a flood stops in its own socket.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any

import msgspec
from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from myna.errors import MynaError, StoreError
from myna.runs.followers import ChangeFrame, EventFrame, Follower, Frame, Listed, ResetFrame, SnapshotFrame
from myna.runs.temporary import TemporaryChat
from myna.server.api import account_types, types
from myna.server.api.services import ApiServices, Owner, Services
from myna.server.errors import describe, from_validation
from myna.store import changes
from myna.store.preferences import Preferences
from myna.store.records import Chat, EndEvent, Message, Project, Run, RunEvent, StartedEvent

logger = logging.getLogger(__name__)

router = APIRouter()

MAX_FRAME = 16 * 1024
"""Characters of a frame from the browser; its frames have a hundred or two."""
TOO_BIG, GOING_AWAY, FAILED = 1009, 1012, 1011

_client_frame: TypeAdapter[types.ClientFrame] = TypeAdapter(types.ClientFrame)
_encode = msgspec.json.Encoder().encode


@router.websocket("/api/events")
async def events(socket: WebSocket, services: Services, owner: Owner) -> None:
    """Serve one tab until it goes or the server ends."""
    await socket.accept()
    await Tab(socket, services, owner).serve()


class Tab:
    """One open WebSocket."""

    def __init__(self, socket: WebSocket, services: ApiServices, owner: str) -> None:
        self._socket = socket
        self._services = services
        self._owner = owner
        self._follower = services.runs.follower(owner)
        self._held: dict[str, tuple[TemporaryChat, Follower]] = {}
        self._models: dict[str, types.Model] = {}
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Receive and send until either side ends it."""
        receiving = asyncio.create_task(self._receive())
        sending = asyncio.create_task(self._send_due())
        forget_models = self._services.library.watch(self._model_changed)
        forget_tab = self._services.on_disconnect(self._follower.wake.set)
        try:
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not self._services.closing:
                raise
            # The server ends, and this tab did not even read that.
        finally:
            forget_tab()
            forget_models()
            self._follower.close()
            for held, follower in self._held.values():
                self._services.temporary.release(held, follower)
            receiving.cancel()
            sending.cancel()
            ended = await asyncio.gather(receiving, sending, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, WebSocketDisconnect):
                raise error

    def _model_changed(self, model: types.Model) -> None:
        if self._follower.lists_cursor is not None:
            self._models[model.name] = model
            self._follower.wake.set()

    async def _receive(self) -> None:
        try:
            await self._receive_all()
        except StoreError as error:
            await self._failed(error)

    async def _receive_all(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None or len(text) > MAX_FRAME:
                await self._close(TOO_BIG if text else 1003)
                return
            run_id = None
            try:
                frame = _parse(text)
                run_id = getattr(frame, "run", None)
                await self._honour(frame)
            except StoreError:  # says nothing about the run that was asked for
                raise
            except MynaError as error:
                await self._send({"type": "error", **describe(error), "run": run_id})

    async def _honour(self, frame: types.ClientFrame) -> None:
        match frame:
            case types.Follow():
                await (await self._follower_of(frame.run)).follow(frame.run, frame.after)
            case types.Unfollow():
                for follower in (self._follower, *(follower for _, follower in self._held.values())):
                    follower.unfollow(frame.run)
            case types.Lists():
                self._follower.follow_lists(frame.after)
            case types.Hold():
                await self._hold(frame.chat)
            case types.Ping():
                await self._send({"type": "pong"})

    async def _hold(self, chat_id: str) -> None:
        held = self._services.temporary.get(self._owner, chat_id)
        if held is None:
            await self._send(_change(None, "chat_deleted", chat_id, None))
            return
        if chat_id not in self._held:
            follower = self._services.temporary.hold(held, self._follower.wake)
            self._held[chat_id] = (held, follower)
            async with held.database.read(self._owner) as scope:
                follower.follow_lists(await changes.latest(scope))
        await self._send({"type": "held", "chat": chat_id})

    async def _follower_of(self, run_id: str) -> Follower:
        """By which a run is followed: that of the temporary chat which has it, or that of all else."""
        for held, follower in self._held.values():
            if not held.over and await held.has(run=run_id):
                return follower
        return self._follower

    async def _send_due(self) -> None:
        while not self._services.closing:
            self._follower.wake.clear()
            try:
                async for frame in self._follower.pending():
                    await self._send(to_wire(frame))
                await self._send_held()
                await self._send_models()
            except StoreError as error:
                await self._failed(error)
                return
            await self._follower.wake.wait()
        await self._close(GOING_AWAY)

    async def _failed(self, error: StoreError) -> None:
        """The page waits and comes back: it goes on from its cursors then."""
        logger.error("A tab cannot be told of what changes: %s", error.message)
        await self._send({"type": "error", **describe(error), "run": None})
        await self._close(FAILED)

    async def _send_held(self) -> None:
        for chat_id, (held, follower) in list(self._held.items()):
            if held.over:
                del self._held[chat_id]
                self._services.temporary.release(held, follower)
                await self._send(_change(None, "chat_deleted", chat_id, None))
                continue
            try:
                async for frame in follower.pending():
                    await self._send(_of_held(chat_id, frame))
            except StoreError:
                if not held.over:  # while it was read
                    raise

    async def _send_models(self) -> None:
        # With the cursor of what was sent, not of what there is: a tab that goes on from it must miss nothing.
        cursor = self._follower.lists_cursor or 0
        changed, self._models = self._models, {}
        for model in changed.values():
            await self._send(_change(cursor, "model", model.name, model))

    async def _send(self, frame: dict[str, Any]) -> None:
        async with self._sending:
            if self._socket.application_state is WebSocketState.CONNECTED:  # not closed while this waited its turn
                await self._socket.send_text(_encode(frame).decode())

    async def _close(self, code: int) -> None:
        async with self._sending:
            if self._socket.application_state is WebSocketState.CONNECTED:
                await self._socket.close(code)


def _parse(text: str) -> types.ClientFrame:
    try:
        return _client_frame.validate_json(text)
    except ValidationError as error:
        raise from_validation(error.errors()) from error


def to_wire(frame: Frame) -> dict[str, Any]:
    """A frame as docs/application-api.md describes it."""
    match frame:
        case EventFrame():
            return {"type": "event", "run": frame.run_id, "seq": frame.seq, "event": _event(frame.event)}
        case SnapshotFrame():
            message = types.Message.model_validate(frame.message).model_dump()
            return {"type": "snapshot", "run": frame.run_id, "seq": frame.seq, "message": message}
        case ChangeFrame():
            return _change(frame.cursor, frame.kind, frame.id, _record(frame.data))
        case ResetFrame():
            return {"type": "reset", "cursor": frame.cursor}


def _of_held(chat_id: str, frame: Frame) -> dict[str, Any]:
    """A frame of a temporary chat, whose changes are not among the tab's lists and have no place in them."""
    match frame:
        case ChangeFrame():
            return _change(None, frame.kind, frame.id, _record(frame.data))
        case ResetFrame():
            return {"type": "held", "chat": chat_id}
        case _:
            return to_wire(frame)


def _change(cursor: int | None, kind: str, entity_id: str, data: BaseModel | None) -> dict[str, Any]:
    change = {"kind": kind, "id": entity_id, "data": None if data is None else data.model_dump()}
    return {"type": "change", "cursor": cursor, "change": change}


def _record(record: Listed | None) -> BaseModel | None:
    match record:
        case Chat():
            return types.Chat.model_validate(record)
        case Message():
            return types.Message.model_validate(record)
        case Run():
            return types.Run.model_validate(record)
        case Preferences():
            return account_types.Preferences.model_validate(record)
        case Project():
            return types.Project.model_validate(record)
        case None:
            return None


def _event(event: RunEvent) -> dict[str, Any]:
    match event:
        case StartedEvent():
            return {
                "kind": "started",
                "prompt_tokens": event.prompt_tokens,
                "cached_tokens": event.cached_tokens,
                "seed": event.seed,
            }
        case EndEvent():
            usage = event.usage and dataclasses.asdict(event.usage)
            error = event.error and dataclasses.asdict(event.error)
            return {"kind": "end", "status": event.status, "usage": usage, "error": error}
        case _:
            return {"kind": "reasoning" if event.reasoning else "text", "text": event.text}
