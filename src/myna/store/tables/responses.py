"""Responses, the items they were given and gave, and the event logs of those that ran in background."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from myna.store.pages import OBJECT_ID
from myna.store.tables.base import OWNER, metadata

responses = Table(
    "responses",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("previous_id", OBJECT_ID),  # no foreign key: what was built on a response outlives it, and says so
    Column("status", String(16), nullable=False),
    Column("background", Boolean, nullable=False),
    Column("last_event", Integer, nullable=False),  # -1 where there was no log
    Column("ended_at", BigInteger),
    Column("body", JSON, nullable=False),  # the object as it is shown, but for its output
    Column("server", Integer),  # as of a run
    PrimaryKeyConstraint("owner", "id"),
    Index(None, "status"),
)

response_items = Table(
    "response_items",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("response_id", OBJECT_ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("given", Boolean, nullable=False),  # in the request; else it is the model's
    Column("id", OBJECT_ID, nullable=False),
    Column("item", JSON, nullable=False),
    PrimaryKeyConstraint("owner", "response_id", "position"),
    ForeignKeyConstraint(["owner", "response_id"], ["responses.owner", "responses.id"], ondelete="CASCADE"),
    Index(None, "owner", "id"),
)

response_events = Table(
    "response_events",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("response_id", OBJECT_ID, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("frame", Text, nullable=False),  # as it is sent
    PrimaryKeyConstraint("owner", "response_id", "seq"),
    ForeignKeyConstraint(["owner", "response_id"], ["responses.owner", "responses.id"], ondelete="CASCADE"),
)
