"""The batches of a server: made, looked at, cancelled, and taken up again when it starts."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from myna.errors import Conflict, InvalidParameter
from myna.server.identity import Identity
from myna.server.openai.batches.draft import leftovers
from myna.server.openai.batches.job import Job, Surroundings
from myna.server.openai.batches.turns import Key, Turns
from myna.server.tasks import beside
from myna.settings import Settings
from myna.store import batches, files
from myna.store.batches import StoredBatch
from myna.store.pages import Page, PageRequest, new_id
from myna.store.peers import MISSED, WORK
from myna.store.records import now
from myna.store.scope import Scope

WINDOWS = {"24h": 24 * 3600}
"""Completion windows, and their seconds."""
MAX_OPEN = 100
"""Batches of one user that are not over: each costs a little while it waits."""
CANCELLABLE = ("validating", "in_progress")

logger = logging.getLogger(__name__)


class BatchService:
    """All batches of this process. Open it with `open_batches`."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._jobs: dict[Key, tuple[Job, asyncio.Task[None]]] = {}
        self._forgetting: set[asyncio.Task[None]] = set()

    async def create(
        self,
        caller: Identity,
        *,
        input_file_id: str,
        endpoint: str,
        completion_window: str = "24h",
        metadata: dict[str, str] | None = None,
        keep_seconds: int | None = None,
    ) -> StoredBatch:
        """Begin a batch.

        Args:
            caller: whose it is; his key's limits hold for it.
            input_file_id: a file of purpose ``batch``.
            endpoint: that all of its requests are for.
            completion_window: how long it may take.
            metadata: labels.
            keep_seconds: how long the files that it makes are kept; until they are deleted, if None.

        Raises:
            InvalidParameter: there is no such file, or it is for something else.
            Conflict: too many of the caller's batches are not over.
        """
        created = now()
        batch = StoredBatch(
            new_id("batch_"),
            endpoint,
            input_file_id,
            completion_window,
            metadata,
            keep_seconds,
            caller.key,
            created,
            created + WINDOWS[completion_window] * 1000,
        )
        async with self._around.database.write(caller.user) as scope:
            file = await files.find(scope, input_file_id, created)
            if file is None:
                raise InvalidParameter(
                    f"There is no file {input_file_id!r}; upload it with purpose 'batch' first.", param="input_file_id"
                )
            if file.purpose != "batch":
                raise InvalidParameter(
                    f"File {input_file_id} has the purpose '{file.purpose}'; a batch needs one of purpose 'batch'.",
                    param="input_file_id",
                )
            if await batches.count_open(scope) >= MAX_OPEN:
                raise Conflict(f"{MAX_OPEN} of your batches are not over yet. Wait for one, or cancel one.")
            await batches.add(scope, batch)
            if self._around.database.leads:
                scope.transaction.after_commit.append(lambda: self._begin(caller.user, batch))
            else:
                scope.transaction.tell(WORK)
        return batch

    async def get(self, owner: str, batch_id: str) -> StoredBatch:
        """A batch, with the counts of now.

        Raises:
            NotFound: the owner has none of this id.
        """
        async with self._around.database.read(owner) as scope:
            return self._shown(owner, await batches.get(scope, batch_id))

    async def listed(self, owner: str, wanted: PageRequest) -> Page[StoredBatch]:
        """A part of an owner's batches."""
        async with self._around.database.read(owner) as scope:
            page = await batches.listed(scope, wanted)
        return Page([self._shown(owner, batch) for batch in page.items], page.has_more)

    async def cancel(self, owner: str, batch_id: str) -> StoredBatch:
        """Stop a batch: what is answered is kept, what is being answered is given up.

        Raises:
            NotFound: the owner has none of this id.
            Conflict: it is over, or about to be.
        """
        async with self._around.database.write(owner) as scope:
            batch = await batches.get(scope, batch_id)
            if batch.status == "cancelling":
                return self._shown(owner, batch)
            if batch.status not in CANCELLABLE:
                raise Conflict(f"Batch {batch_id} cannot be cancelled: its status is '{batch.status}'.")
            batch = await batches.change(scope, batch_id, status="cancelling", cancelling_at=now())
            self._after_cancelling(scope, batch)
        return self._shown(owner, batch)

    def forget(self, owner: str) -> None:
        """Stop a deleted user's batches, and remove what they have."""
        tasks = [task for (of_owner, _), (_, task) in self._jobs.items() if of_owner == owner]
        for task in tasks:
            task.cancel()

        async def remove() -> None:
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(shutil.rmtree, self._around.root / owner, ignore_errors=True)

        removing = asyncio.create_task(remove())
        self._forgetting.add(removing)
        removing.add_done_callback(self._forgetting.discard)

    async def start(self) -> None:
        """Work on what there is, if this process leads those that share the database, and once it does."""
        database = self._around.database
        database.on_check(self.take_up)
        database.hear(MISSED, lambda _: None if database.leads else self._let_go())
        if database.leads:
            await self._remove_leftovers()
            await self.take_up()

    async def take_up(self) -> None:
        """Go on with what others have made, left or cancelled."""
        async with self._around.database.transaction() as transaction:
            found = await batches.left_open(transaction)
        for owner, batch in found:
            if (known := self._jobs.get((owner, batch.id))) is None:
                self._begin(owner, batch)
            elif batch.status == "cancelling":
                known[0].cancelling.set()

    def _let_go(self) -> None:
        """Another process leads now, and goes on with everything."""
        for _, task in self._jobs.values():
            task.cancel()

    async def _remove_leftovers(self) -> None:
        """Remove the drafts of what is over."""
        async with self._around.database.transaction() as transaction:
            found = await batches.left_open(transaction)
        wanted = {self._around.root / owner / batch.id for owner, batch in found}
        for path in await asyncio.to_thread(lambda: list(leftovers(self._around.root))):
            if path not in wanted:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    async def close(self) -> None:
        """Stop working; the next start goes on."""
        tasks = [task for _, task in self._jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._forgetting, return_exceptions=True)

    def _begin(self, owner: str, batch: StoredBatch) -> None:
        job = Job(self._around, owner, batch)
        key = owner, batch.id
        task = asyncio.create_task(job.run(), name=batch.id)
        self._jobs[key] = job, task
        task.add_done_callback(lambda ended: self._ended(key, ended))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._jobs[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("Batch %s stopped for a reason of our own", key[1], exc_info=error)

    def _after_cancelling(self, scope: Scope, batch: StoredBatch) -> None:
        def stop() -> None:
            if (found := self._jobs.get((scope.owner, batch.id))) is not None:
                found[0].cancelling.set()

        scope.transaction.after_commit.append(stop)
        scope.transaction.tell(WORK)

    def _shown(self, owner: str, batch: StoredBatch) -> StoredBatch:
        found = self._jobs.get((owner, batch.id))
        return batch if found is None or batch.status not in batches.OPEN else found[0].shown(batch)


@asynccontextmanager
async def open_batches(app: FastAPI, settings: Settings) -> AsyncIterator[BatchService]:
    """The batches of a data directory, worked on for as long as the block runs.

    Args:
        app: whose routes answer the lines; its state has the database, files, webhooks, accounts and models.
        settings: how many lines at once, and how many a batch may have.
    """
    state = app.state
    service = BatchService(
        Surroundings(
            app=app,
            database=state.database,
            files=state.files,
            webhooks=state.webhooks,
            accounts=state.accounts,
            models=state.models,
            turns=Turns(settings.batch_concurrency),
            root=settings.data_dir / "batches",
            max_lines=settings.max_batch_lines,
        )
    )
    state.accounts.on_departure(service.forget)
    await service.start()
    try:
        async with beside(_stop_in_time(app, service)):
            yield service
    finally:
        await service.close()


async def _stop_in_time(app: FastAPI, service: BatchService) -> None:
    """Stop when running answers must end."""
    await app.state.stopping.wait()
    await service.close()
