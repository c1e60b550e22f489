"""Deliveries of webhooks: stored with what they tell of, tried until they arrive or their time is over.

A delivery is forgotten when its endpoint has answered with 2xx. If the server is killed between the answer and that,
it is sent again, with the same id: at least once, and never twice knowingly. An endpoint gets one at a time, and one
that does not answer holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from myna.errors import StoreError
from myna.server.binding import is_loopback
from myna.server.tasks import beside
from myna.server.webhooks.sender import Sender, SendFailed
from myna.server.webhooks.targets import Resolve, resolve_name
from myna.settings import Settings
from myna.store import webhooks
from myna.store.database import Database
from myna.store.pages import new_id
from myna.store.peers import WORK
from myna.store.records import now
from myna.store.scope import Scope
from myna.store.webhooks import Delivery, Endpoint

EVENT_TYPES = (
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
    "response.completed",
    "response.failed",
    "response.cancelled",
    "response.incomplete",
)
"""What happens here that an endpoint may be told of."""

CONCURRENCY = 8
"""Endpoints that something is being sent to at once."""
FIRST_RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 4 * 3600
GIVE_UP_SECONDS = 72 * 3600
"""After so long a delivery is given up, as OpenAI does."""
LOOK_SECONDS = 3600
"""How long at most until the store is asked again, should the clock have been changed."""
STORE_RETRY_SECONDS = 30

logger = logging.getLogger(__name__)

MayReach = Callable[[str], bool]


class WebhookService:
    """Tells endpoints of what happens. Open it with `open_webhooks`.

    Args:
        database: where endpoints and deliveries are.
        sender: sends them.
        may_reach: whether a user may have events sent into private networks: asked at each delivery, since somebody who
            might once may have become a member since.
    """

    def __init__(self, database: Database, sender: Sender, may_reach: MayReach) -> None:
        self.database = database
        self.sender = sender
        self._may_reach = may_reach
        self._wake = asyncio.Event()
        self._sending: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def notify(self, owner: str, event_type: str, data: dict[str, Any], *, scope: Scope | None = None) -> None:
        """Tell the owner's endpoints that take this type, soon and surely.

        Args:
            owner: whose endpoints.
            event_type: one of `EVENT_TYPES`.
            data: of the event; OpenAI sends the id of the object alone.
            scope: the transaction in which it happens, so that both are stored or neither; one of its own, if None.

        Raises:
            StoreError: it could not be stored.
        """
        if scope is None:
            async with self.database.write(owner) as own:
                await self.notify(owner, event_type, data, scope=own)
            return
        assert event_type in EVENT_TYPES, event_type
        assert scope.owner == owner, owner
        ids = await webhooks.subscribed(scope, event_type)
        if not ids:
            return
        at = now()
        body = event_body(event_type, data, at)
        await webhooks.enqueue(
            scope, *(Delivery(owner, new_id("wh_"), each, event_type, body, 0, at, at) for each in ids)
        )
        scope.transaction.after_commit.append(self._wake.set)
        scope.transaction.tell(WORK)

    async def test(self, owner: str, endpoint: Endpoint, event_type: str) -> int:
        """Send an owner's endpoint a sample at once, and only once: the status that it answers with.

        Raises:
            SendFailed: there was no answer.
        """
        subject = event_type.partition(".")[0]
        body = event_body(event_type, {"id": new_id("batch_" if subject == "batch" else "resp_")}, now())
        return await self.sender.send(endpoint, new_id("wh_"), body.encode(), private=self._may_reach(owner))

    def forget(self, owner: str) -> None:
        """Stop what is being sent for an owner who is deleted."""
        for (each, _), task in self._sending.items():
            if each == owner:
                task.cancel()

    async def deliver_forever(self) -> None:
        """Send what is due, whenever something is, if this process leads those that share the database."""
        self.database.on_check(self._look)
        while True:
            self._wake.clear()
            try:
                seconds = await self._send_due()
            except StoreError as error:
                logger.warning("Webhooks cannot be read from the store: %s", error)
                seconds = STORE_RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def close(self) -> None:
        """Stop sending; what is not delivered stays stored."""
        tasks = list(self._sending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_due(self) -> float:
        """Begin to send what is due; seconds until there will be more."""
        if not self.database.leads:
            return LOOK_SECONDS
        at = now()
        async with self.database.transaction() as transaction:
            found = await webhooks.due(transaction, at, self._sending.keys(), CONCURRENCY - len(self._sending))
            next_at = await webhooks.next_time(transaction, at)
        for delivery, endpoint in found:
            key = delivery.owner, delivery.endpoint_id
            self._sending[key] = asyncio.create_task(self._deliver(delivery, endpoint))
        return LOOK_SECONDS if next_at is None else min(LOOK_SECONDS, max(0.0, (next_at - at) / 1000))

    async def _look(self) -> None:
        self._wake.set()

    async def _deliver(self, delivery: Delivery, endpoint: Endpoint) -> None:
        try:
            try:
                private = self._may_reach(delivery.owner)
                status = await self.sender.send(endpoint, delivery.id, delivery.body.encode(), private=private)
                problem = None if 200 <= status < 300 else f"it answered {status}"
            except SendFailed as failed:
                problem = str(failed)
            except Exception:
                # Ours to mend, and meanwhile not to be tried again at once, for ever.
                logger.exception("Sending %s to webhook endpoint %s failed", delivery.id, endpoint.id)
                problem = "of a fault of this server"
            await self._note(delivery, problem)
        except StoreError as error:
            # Not at once again: the endpoint would get the same for as long as the store fails.
            logger.warning("That a webhook was sent cannot be stored: %s", error)
            await asyncio.sleep(STORE_RETRY_SECONDS)
        finally:
            del self._sending[delivery.owner, delivery.endpoint_id]
            self._wake.set()

    async def _note(self, delivery: Delivery, problem: str | None) -> None:
        attempts = delivery.attempts + 1
        next_at = now() + round(1000 * retry_seconds(attempts) * random.uniform(1, 1.1))  # noqa: S311 - spreads load
        given_up = next_at > delivery.created_at + GIVE_UP_SECONDS * 1000
        if problem is not None:
            log = logger.warning if given_up else logger.info
            log(
                "Webhook endpoint %s did not take %s (attempt %d): %s%s",
                delivery.endpoint_id, delivery.id, attempts, problem, "; given up" if given_up else "",
            )  # fmt: skip
        async with self.database.write(delivery.owner) as scope:
            if problem is None or given_up:
                await webhooks.delivered(scope, delivery.id)
            else:
                await webhooks.postpone(scope, delivery.id, attempts, next_at)


def retry_seconds(attempts: int) -> int:
    """How long to wait after so many attempts: twice as long each time, up to a limit."""
    return min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS << min(attempts - 1, 20))


def event_body(event_type: str, data: dict[str, Any], at: int) -> str:
    """An event as it is sent; ``at`` is Unix milliseconds."""
    event = {"id": new_id("evt_"), "object": "event", "created_at": at // 1000, "type": event_type, "data": data}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def private_targets(settings: Settings) -> bool:
    """Whether webhooks may be sent into private networks: as set, else where only this machine can reach the server."""
    return is_loopback(settings.host) if settings.webhook_private_targets is None else settings.webhook_private_targets


@asynccontextmanager
async def open_webhooks(
    database: Database, settings: Settings, *, may_reach: MayReach = lambda owner: True, resolve: Resolve = resolve_name
) -> AsyncIterator[WebhookService]:
    """Deliver webhooks for as long as the block runs, those that an earlier process left first."""
    service = WebhookService(database, Sender(private=private_targets(settings), resolve=resolve), may_reach)
    try:
        async with beside(service.deliver_forever()):
            yield service
    finally:
        await service.close()
