"""Writing down what a request did to something that is not in the database, such as a model's files."""

from __future__ import annotations

from typing import Any

from starlette.requests import HTTPConnection

from myna.server.identity import identity_of
from myna.store import audit
from myna.store.database import Database


async def note(connection: HTTPConnection, action: str, kind: str, object_id: str, **details: Any) -> None:
    """Add an entry to the audit log, after it was done; see `myna.store.audit.record`.

    An application that was made without a database, as some of its parts can be, has no log.

    Raises:
        StoreError: it cannot be written.
    """
    database: Database | None = getattr(connection.app.state, "database", None)
    if database is not None:
        async with database.transaction() as transaction:
            await audit.record(transaction, identity_of(connection), action, kind, object_id, **details)
