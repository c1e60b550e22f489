"""The tables as they are now, a module a subject; `myna.store.migrations.versions` holds how they came to be."""

from __future__ import annotations

from myna.store.tables import (
    accounts,
    administration,
    batches,
    chats,
    conversations,
    files,
    models,
    preferences,
    responses,
    usage,
    webhooks,
)
from myna.store.tables.base import ID, OWNER, metadata

__all__ = [
    "ID",
    "OWNER",
    "accounts",
    "administration",
    "batches",
    "chats",
    "conversations",
    "files",
    "metadata",
    "models",
    "preferences",
    "responses",
    "search",
    "usage",
    "webhooks",
]
