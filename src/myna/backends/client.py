"""A client of Myna's own engine: requests and calls become messages, messages become events and results."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, cast

from myna.backends.base import ModelDescription
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.failures import describe_error, rebuild_error
from myna.engine.messages import (
    CallFailed,
    Cancel,
    ClientMessage,
    Detokenize,
    Embed,
    EncodePrompt,
    EngineMessage,
    Events,
    GetStatistics,
    LoadAdapter,
    LoadFailed,
    Ready,
    Reply,
    SpellTokens,
    Submit,
    TextCall,
    Tokenize,
    UnloadAdapter,
)
from myna.engine.request import Delta, Event, Failed, Finished, GenerationRequest, Started
from myna.errors import EngineError, InvalidParameter, MynaError

Call = TextCall | GetStatistics | LoadAdapter | UnloadAdapter


class Link(Protocol):
    """What carries messages to an engine. Those from it arrive at `NativeBackend.receive`."""

    def send(self, message: ClientMessage) -> None:
        """Send a message. Raises InvalidParameter for one that is too large, of which nothing is sent."""

    async def close(self) -> None: ...


class _Mailbox:
    """The events of one request on their way to its iterator."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event | Embedded | MynaError] = asyncio.Queue()
        self.abandoned = False  # its iterator was closed; the engine has been told to stop
        self.over = asyncio.Event()


class NativeBackend:
    """A client of an engine; see `Backend` for what it promises. Belongs to one event loop."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._mailboxes: dict[str, _Mailbox] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._call_numbers = itertools.count()
        self._ready: asyncio.Future[ModelDescription] = asyncio.get_running_loop().create_future()
        self._ended: MynaError | None = None
        self._mourner: Callable[[MynaError], None] | None = None
        self._idler: Callable[[], None] | None = None

    @property
    def num_running(self) -> int:
        """Requests that have not ended."""
        return len(self._mailboxes)

    def when_ended(self, mourner: Callable[[MynaError], None]) -> None:
        """Have a function called once when the engine ends, or at once if it has ended already."""
        if self._ended:
            mourner(self._ended)
        self._mourner = mourner

    def when_idle(self, idler: Callable[[], None]) -> None:
        """Have a function called each time that the last request has ended."""
        self._idler = idler

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Started | Delta | Finished, None]:
        return cast("AsyncGenerator[Started | Delta | Finished, None]", self._answer(Submit(request)))

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        async with aclosing(self._answer(Embed(request))) as events:
            return cast("Embedded", await anext(events))

    async def cancel(self, request_id: str) -> None:
        if not self._ended:
            self._link.send(Cancel(request_id))

    async def tokenize(self, text: str) -> list[int]:
        return cast("list[int]", await self._call(lambda number: Tokenize(number, text)))

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return cast("str", await self._call(lambda number: Detokenize(number, list(token_ids))))

    async def encode_prompt(self, request: GenerationRequest) -> list[int]:
        return cast("list[int]", await self._call(lambda number: EncodePrompt(number, request)))

    async def spell(self, token_ids: Sequence[int]) -> list[str]:
        return cast("list[str]", await self._call(lambda number: SpellTokens(number, list(token_ids))))

    async def load_adapter(self, name: str, path: str) -> None:
        await self._call(lambda number: LoadAdapter(number, name, path))

    async def unload_adapter(self, name: str) -> None:
        await self._call(lambda number: UnloadAdapter(number, name))

    async def describe(self) -> ModelDescription:
        """The loaded model. Waits while it is loading; raises what kept it from being loaded."""
        return await asyncio.shield(self._ready)

    async def statistics(self) -> dict[str, float]:
        return cast("dict[str, float]", await self._call(GetStatistics))

    async def close(self) -> None:
        self.end(EngineError("The model was unloaded. Send the request again to load it anew."))
        await self._link.close()

    def receive(self, message: EngineMessage) -> None:
        """Take a message from the engine, in the event loop's thread."""
        match message:
            case Events():
                for events in (message.started, message.deltas, message.finished, message.failed, message.embedded):
                    for event in events:
                        self._deliver(event)
            case Reply():
                self._settle(message.call, message.value)
            case CallFailed():
                error = rebuild_error(message.error, message.message, message.param, message.details)
                self._settle(message.call, error)
            case Ready():
                self._ready.set_result(ModelDescription(**message.description))
            case LoadFailed():
                self.end(rebuild_error(message.error, message.message, message.param, message.details))

    def end(self, error: MynaError) -> None:
        """Let every request and call, now and later, fail with this error. The first error stands."""
        if self._ended:
            return
        self._ended = error
        for mailbox in self._mailboxes.values():
            mailbox.events.put_nowait(_copy(error))
            mailbox.over.set()
        self._mailboxes.clear()
        for call in [*self._calls.values(), self._ready]:
            if not call.done():
                call.set_exception(_copy(error))
                call.exception()  # whoever waits gets it; if nobody does, that is no news
        self._calls.clear()
        if self._mourner is not None:
            self._mourner(error)

    async def _answer(self, message: Submit | Embed) -> AsyncGenerator[Started | Delta | Finished | Embedded, None]:
        """The events of a request, which is cancelled when this is closed before the last of them."""
        request_id = message.request.id
        mailbox = await self._open_mailbox(request_id)
        try:
            self._link.send(message)
        except MynaError:
            del self._mailboxes[request_id]
            raise
        is_over = False
        try:
            while not is_over:
                event = await mailbox.events.get()
                is_over = not isinstance(event, Started | Delta)
                if isinstance(event, MynaError):
                    raise event
                if isinstance(event, Failed):
                    raise rebuild_error(event.error, event.message, event.param, event.details)
                yield event
        finally:
            if not is_over and not self._ended:
                mailbox.abandoned = True
                self._link.send(Cancel(request_id))

    async def _open_mailbox(self, request_id: str) -> _Mailbox:
        """A new mailbox, once the engine is done with an abandoned one of the same id."""
        while (previous := self._mailboxes.get(request_id)) is not None:
            if not previous.abandoned:
                raise InvalidParameter(f"Request id {request_id!r} is in use; every request needs its own.", param="id")
            await previous.over.wait()
        if self._ended:
            raise _copy(self._ended)
        mailbox = self._mailboxes[request_id] = _Mailbox()
        return mailbox

    def _deliver(self, event: Event | Embedded) -> None:
        mailbox = self._mailboxes.get(event.request_id)
        if mailbox is None:
            return
        if not isinstance(event, Started | Delta):
            del self._mailboxes[event.request_id]
            mailbox.over.set()
            if not self._mailboxes and self._idler is not None:
                self._idler()
        mailbox.events.put_nowait(event)

    def _settle(self, number: int, result: object) -> None:
        call = self._calls.pop(number)
        if call.done():  # its caller was cancelled
            return
        if isinstance(result, MynaError):
            call.set_exception(result)
        else:
            call.set_result(result)

    async def _call(self, make: Callable[[int], Call]) -> object:
        if self._ended:
            raise _copy(self._ended)
        number = next(self._call_numbers)
        future = self._calls[number] = asyncio.get_running_loop().create_future()
        self._link.send(make(number))
        return await future


def _copy(error: MynaError) -> MynaError:
    """Its own exception for everyone who gets it: raising one adds a traceback to it."""
    return rebuild_error(*describe_error(error))
