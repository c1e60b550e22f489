"""The life of one batch: its file is checked, its lines are answered, and the answers become files.

Whatever state the rows and the draft are in when the process ends, the next one goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI

from myna.errors import MynaError, NotFound, StoreError
from myna.server.accounts import Accounts
from myna.server.accounts.directory import identity
from myna.server.files import FileService, new_file
from myna.server.identity import LOCAL, Identity, Limits
from myna.server.inside import Answer, call
from myna.server.openai.batches.draft import ERROR, OUTPUT, Draft, Record, Usage
from myna.server.openai.batches.lines import LINES_AT_A_TIME, LineError, check_lines, is_blank, read_line
from myna.server.openai.batches.results import answer_line, expired_line, usage_of
from myna.server.openai.batches.turns import Turns
from myna.server.openai.generation import Models, known_model, split_name
from myna.server.webhooks import WebhookService
from myna.store import batches, files
from myna.store.batches import StoredBatch
from myna.store.database import Database
from myna.store.records import now

End = Literal["completed", "expired", "cancelled"]

OUTPUT_PURPOSE = "batch_output"
MODERATIONS = "/v1/moderations"
"""Its models are none of those that are loaded."""
RETRY_SECONDS = 30.0
"""Until a batch whose files could not be read or written is tried again."""
BUSY_SECONDS = 1.0
"""Until a line is tried again that found the model's queue full."""
QUOTA_SECONDS = 60.0
"""... or that found its user's quota of the day spent."""
FAULT_SECONDS = (1.0, 5.0, 25.0)
"""... or that met a fault of the server's, such as a model that was unloaded; the last answer then counts."""
CLOCK_SECONDS = 60.0
"""Between looks at the clock, which may be set, or have gone on while the machine slept."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all batches of a server use. ``root`` is where their drafts lie."""

    app: FastAPI
    database: Database
    files: FileService
    webhooks: WebhookService
    accounts: Accounts
    models: Models
    turns: Turns
    root: Path
    max_lines: int

    def caller(self, owner: str, key: str | None) -> Identity | None:
        """In whose name a batch's lines are asked; None while its user is disabled.

        The limits of the key that made it hold as long as there is that key; a batch outlives it.
        """
        directory = self.accounts.directory
        user = directory.users.get(owner)
        if user is None:
            return LOCAL if owner == LOCAL.user else Identity(owner, owner, "member")
        if user.disabled:
            return None
        found = next((each for each in directory.keys_of(owner) if each.id == key), None)
        limits = Limits() if found is None else Limits(found.requests_per_minute, found.tokens_per_minute)
        return replace(identity(user), key=key, key_limits=limits)


class Job:
    """A batch that is not over."""

    def __init__(self, surroundings: Surroundings, owner: str, batch: StoredBatch) -> None:
        self.owner = owner
        self.batch = batch
        self.cancelling = asyncio.Event()
        self.draft: Draft | None = None
        self._around = surroundings
        self._key = (owner, batch.id)
        if batch.status == "cancelling":
            self.cancelling.set()

    async def run(self) -> None:
        """Work until the batch is over."""
        while True:
            try:
                self.draft = await Draft.open(self._around.root / self.owner / self.batch.id)
                try:
                    await self._advance(self.draft)
                finally:
                    await asyncio.shield(self.draft.close())
                await self.draft.remove()
                return
            except (MynaError, OSError) as error:
                logger.warning("Batch %s is held up and will be tried again: %s", self.batch.id, error)
                with contextlib.suppress(MynaError):
                    await self._explain(error)
            await asyncio.sleep(RETRY_SECONDS)

    def shown(self, batch: StoredBatch) -> StoredBatch:
        """A row of this batch with the counts of now."""
        return batch if self.draft is None else replace(batch, **_counts(self.draft))

    async def _advance(self, draft: Draft) -> None:
        """Go on from the state that the batch is in."""
        if self.batch.status == "validating" and not await self._until_stopped(self._check()):
            return await self._end(draft, self._stopped_by())
        if self.batch.status == "failed":
            return None
        if self.batch.status == "in_progress":
            try:
                is_done = await self._until_stopped(self._answer_all(draft))
            except NotFound as error:  # of the input; a line's own is its answer
                await self._make_files(draft)
                await self._fail([LineError("input_file_not_found", error.message).at(None)], draft)
                return None
            if not is_done:
                return await self._end(draft, self._stopped_by())
            await self._move("in_progress", "finalizing", **_counts(draft))
        return await self._end(draft, "completed" if self.batch.status == "finalizing" else "cancelled")

    def _stopped_by(self) -> End:
        return "cancelled" if self.cancelling.is_set() else "expired"

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Work until it is done, or the batch cancelled or expired: whether it was done. Raises what the work does."""
        working = asyncio.create_task(work)
        cancelled = asyncio.create_task(self.cancelling.wait())
        try:
            while not cancelled.done() and (left := (self.batch.expires_at - now()) / 1000) > 0:
                await asyncio.wait(
                    {working, cancelled}, timeout=min(left, CLOCK_SECONDS), return_when=asyncio.FIRST_COMPLETED
                )
                if working.done():
                    working.result()
                    return True
            return False
        finally:
            working.cancel()
            cancelled.cancel()
            await asyncio.gather(working, cancelled, return_exceptions=True)

    async def _check(self) -> None:
        """Read the whole file; the batch is then in progress, or has failed."""
        around, batch = self._around, self.batch
        try:
            async with aclosing(around.files.lines(self.owner, batch.input_file_id)) as lines:
                checked = await check_lines(lines, batch.endpoint, around.max_lines)
            errors = checked.errors
            if not errors and checked.model is not None and batch.endpoint != MODERATIONS:
                model, _ = split_name(around.models, checked.model, None)
                known_model(around.models, model)
        except NotFound as error:
            code = "model_not_found" if error.param == "model" else "input_file_not_found"
            errors = [LineError(code, error.message, param=error.param).at(None)]
        if errors:
            await self._fail(errors)
        else:
            await self._move(
                "validating", "in_progress", in_progress_at=now(), total=checked.total, model=checked.model
            )

    async def _explain(self, error: MynaError | OSError) -> None:
        """Show what holds the batch up, until it is over."""
        code, message = (
            (error.code, error.message)
            if isinstance(error, MynaError)
            else (StoreError.code, "The server cannot keep the answers on its disk; it tries again.")
        )
        async with self._around.database.write(self.owner) as scope:
            await batches.change(scope, self.batch.id, errors=[LineError(code, message).at(None)])

    async def _fail(self, errors: list[dict[str, Any]], draft: Draft | None = None) -> None:
        counts = {} if draft is None else _counts(draft)
        async with self._around.database.write(self.owner) as scope:
            self.batch = await batches.change(
                scope, self.batch.id, status="failed", failed_at=now(), errors=errors, **counts
            )
            await self._around.webhooks.notify(self.owner, "batch.failed", {"id": self.batch.id}, scope=scope)

    async def _move(self, before: batches.Status, after: batches.Status, **values: Any) -> None:
        """Take the batch a state further, unless it was cancelled meanwhile."""
        async with self._around.database.write(self.owner) as scope:
            self.batch = await batches.get(scope, self.batch.id)
            if self.batch.status == before:
                if after == "finalizing":
                    values["finalizing_at"] = now()
                self.batch = await batches.change(scope, self.batch.id, status=after, **values)

    async def _answer_all(self, draft: Draft) -> None:
        """Ask what has no answer yet, so many lines at a time as the batch has turns."""
        around, number = self._around, 0
        try:
            async with (
                asyncio.TaskGroup() as asking,
                aclosing(around.files.lines(self.owner, self.batch.input_file_id)) as lines,
            ):
                async for raw in lines:
                    number += 1
                    if draft.has(number) or is_blank(raw):
                        if number % LINES_AT_A_TIME == 0:
                            await asyncio.sleep(0)
                        continue
                    await around.turns.take(self._key)
                    task = asking.create_task(self._answer_one(draft, number, raw))
                    task.add_done_callback(lambda _: around.turns.give(self._key))  # also if it never began
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _answer_one(self, draft: Draft, number: int, raw: bytes) -> None:
        """Ask, and return when the answer is in the draft."""
        line = read_line(raw, self.batch.endpoint)
        answer = await self._ask(line.body)
        kind = OUTPUT if answer.status == 200 else ERROR
        await draft.append(Record(number, kind, usage_of(answer), answer_line(line.custom_id, answer)))

    async def _ask(self, body: bytes) -> Answer:
        """A line's answer; what is the server's fault, or a matter of time, is tried again."""
        around, faults = self._around, iter(FAULT_SECONDS)
        while True:
            caller = around.caller(self.owner, self.batch.key)
            if caller is None:
                await asyncio.sleep(QUOTA_SECONDS)
                continue
            answer = await call(around.app, caller, self.batch.endpoint, body, background=True)
            if around.app.state.stopping.is_set():  # what came of it is the stop, not the line's fault
                await asyncio.get_running_loop().create_future()
            if answer.status == 429:
                await asyncio.sleep(QUOTA_SECONDS if b"insufficient_quota" in answer.body else BUSY_SECONDS)
            elif answer.status < 500 or answer.status == 501 or (pause := next(faults, None)) is None:
                return answer
            else:
                await asyncio.sleep(pause)

    async def _end(self, draft: Draft, end: End) -> None:
        """Make files of the draft, and close the batch."""
        await draft.settled()
        if end == "expired" and self.batch.status == "in_progress":
            await self._tell_expired(draft)
        await self._make_files(draft)
        async with self._around.database.write(self.owner) as scope:
            self.batch = await batches.change(
                scope, self.batch.id, status=end, errors=None, **{f"{end}_at": now()}, **_counts(draft)
            )
            await self._around.webhooks.notify(self.owner, f"batch.{end}", {"id": self.batch.id}, scope=scope)

    async def _make_files(self, draft: Draft) -> None:
        if draft.completed and self.batch.output_file_id is None:
            await self._make_file(draft, OUTPUT, "output")
        if draft.failed and self.batch.error_file_id is None:
            await self._make_file(draft, ERROR, "error")

    async def _tell_expired(self, draft: Draft) -> None:
        """Give each line without an answer the error that it came too late."""
        records: list[Record] = []
        number = 0
        try:
            async with aclosing(self._around.files.lines(self.owner, self.batch.input_file_id)) as lines:
                async for raw in lines:
                    number += 1
                    if not draft.has(number) and not is_blank(raw):
                        custom_id = read_line(raw, self.batch.endpoint).custom_id
                        records.append(Record(number, ERROR, Usage(), expired_line(custom_id)))
                    if len(records) == LINES_AT_A_TIME:
                        await draft.append(*records)
                        records = []
        except NotFound:  # the input is gone, and with it the names of the requests
            pass
        await draft.append(*records)

    async def _make_file(self, draft: Draft, kind: bytes, name: Literal["output", "error"]) -> None:
        """Make a file of one kind of lines, and the batch know of it, in one transaction."""
        around, batch = self._around, self.batch
        blob = await around.files.write(self.owner, _closed(draft.lines(kind)))
        file = new_file(blob, f"{batch.id}_{name}.jsonl", OUTPUT_PURPOSE, batch.keep_seconds)
        async with around.files.placing(self.owner, blob) as scope:
            await around.files.check_room(scope, blob.bytes)
            await files.add(scope, file)
            self.batch = await batches.change(scope, batch.id, **{f"{name}_file_id": file.id})


def _counts(draft: Draft) -> dict[str, Any]:
    return {"completed": draft.completed, "failed": draft.failed, "usage": draft.usage._asdict()}


async def _closed(lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(lines):
        async for each in lines:
            yield each
