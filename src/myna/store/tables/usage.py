"""What was used of the models, summed up by user, day, model and key."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, String, Table, Text

from myna.store.pages import OBJECT_ID
from myna.store.tables.base import OWNER, metadata

DAY = String(10)

usage = Table(
    "usage",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("day", DAY, nullable=False),  # of UTC, as ISO 8601 writes it
    Column("model", Text, nullable=False),
    Column("key", OBJECT_ID, nullable=False),  # empty: the browser. No foreign key: what a key used outlives it
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    # Of the answers whose speed was measured: tokens after the first, and the milliseconds that they took.
    Column("timed_tokens", BigInteger, nullable=False, server_default="0"),
    Column("timed_milliseconds", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("owner", "day", "model", "key"),
    Index(None, "day"),
)
