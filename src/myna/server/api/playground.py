"""Raw text continued by a model as it is, without a chat around it: for base models, and to look at any other."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.errors import MynaError, ServerStopping, UnsupportedParameter
from myna.runs.answer import sampling
from myna.runs.turn import in_turn
from myna.server.api import types
from myna.server.api.services import Admitted, Services
from myna.server.api.tokens import token_json
from myna.server.caller import CallersModel, callers_model
from myna.server.connected import ClientGone, answer_while_connected, while_connected
from myna.server.errors import describe

router = APIRouter(prefix="/api/playground")

MOST_CONTINUATIONS = 4
RIVALS = 5
"""Likeliest tokens told at each place."""
CHAT_ONLY = ("dialect", "thinking")

_encode = msgspec.json.Encoder().encode


class PlaygroundRequest(types.Request):
    """Body of ``POST /api/playground``."""

    text: Annotated[str, Field(max_length=types.MAX_TEXT, min_length=1), AfterValidator(types.without_null)]
    model: types.ModelName | None = None
    parameters: types.Parameters = types.Parameters()
    count: int = Field(default=1, ge=1, le=MOST_CONTINUATIONS)


@router.post("")
async def continue_text(services: Services, owner: Admitted, asked: PlaygroundRequest, request: Request) -> Response:
    """Continue a text, as JSON lines for as long as the client listens; nothing is stored."""
    parameters = types.given(asked.parameters) or {}
    for name in CHAT_ONLY:
        if name in parameters:
            raise UnsupportedParameter(f"{name} is for conversations; leave it out.", param=f"parameters.{name}")
    model = services.library.default if asked.model is None else services.library.canonical(asked.model)
    async with services.database.read(owner) as scope:
        await services.permit(scope, model)
    params = replace(sampling(model, parameters), logprobs=RIVALS)

    async def begin() -> Response:
        backend = callers_model(request, await in_turn(services.manager, model), model)
        lines = _lines(backend, asked, params, parameters)
        first = await anext(lines)  # what the engine refuses is refused before the stream begins
        return _Lines(first, lines)

    return await answer_while_connected(request, begin())


async def _lines(
    backend: CallersModel, asked: PlaygroundRequest, params: SamplingParams, parameters: Mapping[str, Any]
) -> AsyncGenerator[bytes, None]:
    """Every continuation's events as they come, each with its number."""
    events: asyncio.Queue[tuple[int, Started | Delta | Finished | MynaError | None]] = asyncio.Queue()

    async def write(index: int) -> None:
        seed = None if params.seed is None else params.seed + index
        generation = GenerationRequest(
            id=str(uuid.uuid4()),
            params=replace(params, seed=seed),
            text=asked.text,
            adapter=parameters.get("adapter"),
        )
        try:
            async with aclosing(backend.generate(generation, is_copy=index > 0)) as generated:
                async for event in generated:
                    events.put_nowait((index, event))
        except MynaError as error:
            events.put_nowait((index, error))
        finally:
            events.put_nowait((index, None))

    tasks = [asyncio.create_task(write(index)) for index in range(asked.count)]
    try:
        open_, begun = asked.count, False
        while open_:
            index, event = await events.get()
            if event is None:
                open_ -= 1
            elif isinstance(event, MynaError):
                if not begun:
                    raise event
                yield _line({"index": index, **describe(event)})
            else:
                begun = True
                yield _line(_told(index, event))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _told(index: int, event: Started | Delta | Finished) -> dict[str, Any]:
    match event:
        case Started():
            return {"index": index, "started": {"prompt_tokens": event.prompt_tokens, "seed": event.seed}}
        case Delta():
            scored = [token_json(entry, ()) for entry in event.logprobs or ()]
            return {"index": index, "text": event.text, "tokens": scored}
        case Finished():
            return {
                "index": index,
                "end": {
                    "reason": event.reason,
                    "stop": event.stop,
                    "tokens": event.completion_tokens,
                    "first_token_seconds": event.first_token_seconds,
                    "decode_seconds": event.decode_seconds,
                },
            }


def _line(value: dict[str, Any]) -> bytes:
    return _encode(value) + b"\n"


class _Lines(Response):
    """A stream of JSON lines; the work behind it ends when the client goes."""

    media_type = "application/x-ndjson"

    def __init__(self, first: bytes, lines: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._first = first
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                await while_connected(receive, scope["app"].state.stopping, self._send(send))
            except ServerStopping as error:
                await send({"type": "http.response.body", "body": _line(describe(error)), "more_body": False})
        except (ClientGone, OSError):
            return
        finally:
            await self._lines.aclose()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for line in self._lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
