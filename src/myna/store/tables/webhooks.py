"""Webhook endpoints, and what is yet to be delivered to them."""

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

endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("secret", Text, nullable=False),  # as it is: it signs, so a hash of it would not do
    Column("old_secret", Text),
    Column("old_secret_until", BigInteger),
    Column("private", Boolean, nullable=False),  # made by one who may have this machine's network called
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner", "id"),
)

deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("endpoint_id", OBJECT_ID, nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("body", Text, nullable=False),  # what is sent, to the byte
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner", "id"),
    ForeignKeyConstraint(
        ["owner", "endpoint_id"], ["webhook_endpoints.owner", "webhook_endpoints.id"], ondelete="CASCADE"
    ),
    Index(None, "owner", "endpoint_id", "id"),
    Index(None, "next_at"),
)
