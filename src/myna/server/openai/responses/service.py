"""All responses of this server: those it keeps, and those that run in background."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from myna.engine.request import GenerationRequest
from myna.errors import EngineBusy, InvalidParameter, RequestError
from myna.runs.writer import GroupWriter
from myna.server.caller import CallersModel
from myna.server.openai.responses.background import INTERRUPTED, BackgroundRun, EventLog, Job, written
from myna.server.openai.responses.frames import Event, FrameWriter
from myna.server.openai.responses.items import Item, public
from myna.server.openai.responses.output import Output
from myna.server.openai.responses.telling import retold
from myna.server.openai.sse import pad
from myna.server.webhooks.service import WebhookService
from myna.store import conversations, responses
from myna.store.database import Database
from myna.store.records import now
from myna.store.responses import KEEP_EVENTS_SECONDS, NO_EVENTS, StoredResponse
from myna.store.scope import Scope, Transaction
from myna.store.waiting import Waiting

logger = logging.getLogger(__name__)

MAX_BACKGROUND = 256
"""Responses of one owner that wait or run in background."""
MAX_RUNNING = 16
"""Responses in background that the engine has at once; what waits beyond that is ``queued``."""
CANCEL_SECONDS = 10.0
"""How long cancelling waits for another process that writes the response."""
READ_AT_ONCE = 500
"""Events of a log."""
NOTIFIED = ("completed", "failed", "cancelled", "incomplete")


class ResponseWriter(GroupWriter[EventLog]):
    """Commits what is pending in all background responses."""

    def __init__(self, database: Database, service: ResponseService) -> None:
        super().__init__(database)
        self._service = service

    async def store(self, logs: list[EventLog], transaction: Transaction) -> None:
        """See `GroupWriter.store`; a response that ends is stored with what it gave."""
        if transaction.server is not None:  # another process may have deleted some
            gone = await responses.missing(transaction, [(log.job.owner, log.job.id) for log in logs])
            transaction.after_commit.extend(
                partial(self._service.drop, log.job.owner, log.job.id)
                for log in logs
                if (log.job.owner, log.job.id) in gone
            )
            logs = [log for log in logs if (log.job.owner, log.job.id) not in gone]
        taken = [(log, log.take()) for log in logs]
        await responses.append_events(
            transaction, ((log.job.owner, log.job.id, seq, frame) for log, frames in taken for seq, frame in frames)
        )
        for log, frames in taken:
            scope = transaction.owned_by(log.job.owner)
            body = stored_body(log.output.response)
            if log.is_ending:
                last = frames[-1][0] if frames else len(log.frames) - 1
                await responses.finish(scope, log.job.id, body, log.output.items, last_event=last)
                await self._service.ended(scope, log.job, log.output)
            elif not log.has_begun and body["status"] == "in_progress":
                await responses.begin(scope, log.job.id, body)
                transaction.after_commit.append(log.note_begun)


class ResponseService:
    """Keeps responses, and runs those in background."""

    def __init__(self, database: Database, webhooks: WebhookService) -> None:
        self.database = database
        self.writer = ResponseWriter(database, self)
        self._webhooks = webhooks
        self._runs: dict[tuple[str, str], BackgroundRun] = {}
        self._room = asyncio.Semaphore(MAX_RUNNING)
        self._departed: set[str] = set()
        self._cleared_at: float | None = None
        self._elsewhere = Waiting(database, "response")
        database.on_check(self.mark_left_open)
        database.hear("cancel", lambda words: self._cancel_here(words[0], words[1]))

    async def start(self) -> None:
        """Mark what a crash has left, and take new responses."""
        await self.mark_left_open()
        await self._clear()
        self.writer.start()

    async def mark_left_open(self) -> None:
        """Mark what a process that died has left as failed, with the text it had."""
        async with self.database.transaction() as transaction:
            living = await self.database.living(transaction)
            for owner, response in await responses.left_open(transaction, living):
                await self._interrupted(transaction.owned_by(owner), response)
                logger.warning("Response %s was cut off by a crash; what it had is kept", response.id)

    async def close(self) -> None:
        """End what runs, and store what it has."""
        await asyncio.gather(*(run.end("interrupted") for run in self._runs.values()))
        await self.writer.close()

    def cancel_all(self, owner: str) -> None:
        """End an owner's background responses with what they have."""
        for (of_owner, _), run in list(self._runs.items()):
            if of_owner == owner:
                run.cancel()

    def forget(self, owner: str) -> None:
        """The owner is gone: write nothing more of his."""
        self._departed.add(owner)
        for key in [key for key in self._runs if key[0] == owner]:
            self._runs.pop(key).drop()

    async def keep(self, job: Job, output: Output) -> None:
        """Store a response that is over, if it is to be, and add to its conversation, in one transaction."""
        if job.owner in self._departed or not (job.stored or job.conversation_id):
            return
        async with self.database.write(job.owner) as scope:
            if job.stored:
                body = stored_body(output.response)
                row = StoredResponse(job.id, job.previous_id, body["status"], False, NO_EVENTS, now(), body)
                await responses.add(scope, row, job.given, output.items)
            await self._add_to_conversation(scope, job, output)

    async def launch(
        self, job: Job, output: Output, begun: Iterable[Event], model: CallersModel, request: GenerationRequest
    ) -> EventLog:
        """Run a response in background; it is stored, with the events by which it has ``begun``, when this returns.

        Raises:
            EngineBusy: its owner has too many of them.
        """
        if sum(owner == job.owner for owner, _ in self._runs) >= MAX_BACKGROUND:
            raise EngineBusy(
                f"{MAX_BACKGROUND} responses run or wait in background already; cancel some, or try again later."
            )
        await self._clear()
        key = (job.owner, job.id)
        log = EventLog(job, output, self.writer)
        run = BackgroundRun(log, model, request, self._room)
        log.add(begun)
        async with self.database.write(job.owner) as scope:
            body = stored_body(output.response)
            row = StoredResponse(job.id, job.previous_id, body["status"], True, NO_EVENTS, None, body)
            await responses.add(scope, row, job.given)
            events = [(job.owner, job.id, seq, frame) for seq, frame in log.take()]
            await responses.append_events(scope.transaction, events)

            def begin() -> None:
                log.commit()
                self._runs[key] = run
                run.start()

            scope.transaction.after_commit.append(begin)
        return log

    async def ended(self, scope: Scope, job: Job, output: Output) -> None:
        """A background response is stored as over in this transaction; what else belongs into it."""
        await self._add_to_conversation(scope, job, output)
        await self._notify(scope, job.id, output.response["status"])

        def forget() -> None:
            self._runs.pop((job.owner, job.id), None)

        scope.transaction.after_commit.append(forget)

    def live(self, owner: str, response_id: str) -> EventLog | None:
        """The log of a response that is open."""
        run = self._runs.get((owner, response_id))
        return None if run is None else run.log

    async def get(self, owner: str, response_id: str) -> dict[str, Any]:
        """A response as it is now.

        Raises:
            NotFound: the owner has no such response.
        """
        log = self.live(owner, response_id)
        async with self.database.read(owner) as scope:
            response = await responses.get(scope, response_id)
            output = await responses.output(scope, response_id)
            if self._is_elsewhere(response):
                logged = await responses.events(scope, response_id, NO_EVENTS, 1 << 31)
                output = written([frame for _, frame in logged])
        if response.is_open and log is not None:
            output = written(log.frames)
        return response.body | {"output": [public(item) for item in output]}

    async def given(self, owner: str, response_id: str) -> list[Item]:
        """All that a response was given: what is left of what it goes on from, and its own. Raises as `get`."""
        before: list[Item] = []
        async with self.database.read(owner) as scope:
            response = await responses.get(scope, response_id)
            if response.previous_id is not None:
                before = await responses.chain(scope, response.previous_id, may_be_broken=True)
            return [*before, *await responses.given(scope, response_id)]

    async def cancel(self, owner: str, response_id: str) -> dict[str, Any]:
        """End a background response with what it has, and answer it as it is then; one that is over stays as it was.

        Raises:
            NotFound: the owner has no such response.
            InvalidParameter: it does not run in background.
        """
        async with self.database.read(owner) as scope:
            response = await responses.get(scope, response_id)
        if not response.background:
            raise InvalidParameter(
                f"The response {response_id} was not made with 'background': true; close the connection to cancel one "
                "that is not.",
                param="response_id",
            )
        if (run := self._runs.get((owner, response_id))) is not None:
            await run.end("cancelled")
            await run.log.ended.wait()
        elif self._is_elsewhere(response):
            async with self.database.transaction() as transaction:
                transaction.tell("cancel", owner, response_id)
            await self._elsewhere.until((owner, response_id), lambda: self._is_over(owner, response_id), CANCEL_SECONDS)
        return await self.get(owner, response_id)

    def drop(self, owner: str, response_id: str) -> None:
        """A response that is written here is deleted."""
        if (run := self._runs.pop((owner, response_id), None)) is not None:
            run.drop()

    def _cancel_here(self, owner: str, response_id: str) -> None:
        """Another process asks for it."""
        if (run := self._runs.get((owner, response_id))) is not None:
            run.cancel()

    def _is_elsewhere(self, response: StoredResponse) -> bool:
        return response.is_open and response.server != self.database.server

    async def _is_over(self, owner: str, response_id: str) -> bool:
        async with self.database.read(owner) as scope:
            response = await responses.find(scope, response_id)
        return response is None or not response.is_open

    async def delete(self, owner: str, response_id: str) -> None:
        """Delete a response; if it runs, it ends.

        Raises:
            NotFound: the owner has no such response.
        """
        run = self._runs.get((owner, response_id))
        async with self.database.write(owner) as scope:
            await responses.remove(scope, response_id)
            if run is not None:
                scope.transaction.after_commit.append(partial(self.drop, owner, response_id))

    async def follow(
        self, owner: str, response_id: str, after: int, *, padded: bool = False, writer: FrameWriter | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The events of a response after number ``after``: as they were while there is a log, later in short.

        ``writer`` is as for `EventLog.follow`.

        Raises:
            NotFound: the owner has no such response.
        """
        async with self.database.read(owner) as scope:
            response = await responses.get(scope, response_id)
        if response.is_open:
            await self.database.settled()  # it may have just begun, or be ending
        if (log := self.live(owner, response_id)) is not None:
            return log.follow(after, padded=padded, writer=writer)
        async with self.database.read(owner) as scope:
            has_log = self._is_elsewhere(response) or bool(await responses.events(scope, response_id, NO_EVENTS, 1))
        past = self._logged(owner, response_id, after) if has_log else self._told(owner, response_id, after)
        return _padded(past) if padded else past

    async def _logged(self, owner: str, response_id: str, after: int) -> AsyncGenerator[bytes, None]:
        while True:
            async with self.database.read(owner) as scope:
                events = await responses.events(scope, response_id, after, READ_AT_ONCE)
                response = await responses.find(scope, response_id)
            if not events:
                if response is None or not self._is_elsewhere(response):
                    return
                await self._elsewhere.until((owner, response_id), partial(self._has_more, owner, response_id, after))
                continue
            after = events[-1][0]
            for _, frame in events:
                yield frame

    async def _has_more(self, owner: str, response_id: str, after: int) -> bool:
        async with self.database.read(owner) as scope:
            response = await responses.find(scope, response_id)
            more = await responses.events(scope, response_id, after, 1)
        return bool(more) or response is None or not self._is_elsewhere(response)

    async def _told(self, owner: str, response_id: str, after: int) -> AsyncGenerator[bytes, None]:
        async with self.database.read(owner) as scope:
            stored = await responses.find(scope, response_id)
            output = await responses.output(scope, response_id)
        if stored is None:  # deleted since
            return
        for number, frame in retold(stored.body | {"output": list(map(public, output))}, stored.last_event):
            if number > after:
                yield frame

    async def _interrupted(self, scope: Scope, response: StoredResponse) -> None:
        frames = [frame for _, frame in await responses.events(scope, response.id, NO_EVENTS, 1 << 31)]
        output = Output(response.body | {"output": []}, tokenizer="")
        output.items = written(frames)
        events = output.fail(INTERRUPTED)
        writer = FrameWriter(len(frames))
        numbered = [(scope.owner, response.id, writer.next, writer.frame(event)) for event in events]
        await responses.append_events(scope.transaction, numbered)
        body = stored_body(output.response)
        await responses.finish(scope, response.id, body, output.items, last_event=writer.next - 1)
        await self._notify(scope, response.id, body["status"])

    async def _add_to_conversation(self, scope: Scope, job: Job, output: Output) -> None:
        if job.conversation_id is None or output.response["status"] not in ("completed", "incomplete"):
            return
        try:
            await conversations.append(scope, job.conversation_id, [*job.given, *output.items])
        except RequestError as error:  # it was deleted meanwhile, or somebody else has added the same
            logger.info("Response %s was not added to its conversation: %s", job.id, error.message)

    async def _notify(self, scope: Scope, response_id: str, status: str) -> None:
        if status in NOTIFIED:
            await self._webhooks.notify(scope.owner, f"response.{status}", {"id": response_id}, scope=scope)

    async def _clear(self) -> None:
        """Drop the logs that nobody comes back to, now and then."""
        at = time.monotonic()
        if self._cleared_at is not None and at - self._cleared_at < KEEP_EVENTS_SECONDS:
            return
        self._cleared_at = at
        async with self.database.transaction() as transaction:
            await responses.drop_old_events(transaction)


async def _padded(frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async for frame in frames:
        yield pad(frame)


def stored_body(response: dict[str, Any]) -> dict[str, Any]:
    """What is stored of a response: all but its output."""
    return {name: value for name, value in response.items() if name != "output"}


@asynccontextmanager
async def open_responses(database: Database, webhooks: WebhookService) -> AsyncIterator[ResponseService]:
    """Take up what a crash has left; at the end store what runs, as far as it has come."""
    service = ResponseService(database, webhooks)
    await service.start()
    try:
        yield service
    finally:
        await service.close()
