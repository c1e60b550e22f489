"""Batches of requests. Which of a batch's lines are done says no row, but its draft (`myna.server.openai.batches`)."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from myna.store.pages import OBJECT_ID
from myna.store.tables.base import OWNER, metadata

batches = Table(
    "batches",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("input_file_id", OBJECT_ID, nullable=False),  # no foreign key: the file may be deleted
    Column("completion_window", String(16), nullable=False),
    Column("metadata", JSON(none_as_null=True)),
    Column("keep_seconds", BigInteger),  # how long its files are kept; null: until they are deleted
    Column("key", OBJECT_ID),  # id of the API key that made it, whose limits hold for it
    Column("model", Text),
    Column("status", String(16), nullable=False),
    Column("errors", JSON(none_as_null=True)),
    Column("output_file_id", OBJECT_ID),
    Column("error_file_id", OBJECT_ID),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("usage", JSON(none_as_null=True)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("in_progress_at", BigInteger),
    Column("finalizing_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("expired_at", BigInteger),
    Column("cancelling_at", BigInteger),
    Column("cancelled_at", BigInteger),
    PrimaryKeyConstraint("owner", "id"),
    Index(None, "status"),
)
