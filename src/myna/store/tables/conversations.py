"""Conversations and their items; chat completions that were asked to be stored, and the messages they answered."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from myna.store.pages import OBJECT_ID
from myna.store.tables.base import OWNER, metadata

conversations = Table(
    "conversations",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("next_position", Integer, nullable=False),  # counts up for ever: positions are never used twice
    PrimaryKeyConstraint("owner", "id"),
)

conversation_items = Table(
    "conversation_items",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("conversation_id", OBJECT_ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("item", JSON, nullable=False),
    PrimaryKeyConstraint("owner", "conversation_id", "position"),
    UniqueConstraint("owner", "conversation_id", "id"),
    ForeignKeyConstraint(["owner", "conversation_id"], ["conversations.owner", "conversations.id"], ondelete="CASCADE"),
)

completions = Table(
    "completions",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("model", Text, nullable=False),
    Column("completion", JSON, nullable=False),  # the object as it is shown, but for its metadata
    PrimaryKeyConstraint("owner", "id"),
    Index(None, "owner", "model", "id"),
)

completion_messages = Table(
    "completion_messages",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("completion_id", OBJECT_ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("message", JSON, nullable=False),
    PrimaryKeyConstraint("owner", "completion_id", "position"),
    ForeignKeyConstraint(["owner", "completion_id"], ["completions.owner", "completions.id"], ondelete="CASCADE"),
)

completion_metadata = Table(
    "completion_metadata",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("completion_id", OBJECT_ID, nullable=False),
    Column("key", String(64), nullable=False),
    Column("value", String(512), nullable=False),
    PrimaryKeyConstraint("owner", "completion_id", "key"),
    ForeignKeyConstraint(["owner", "completion_id"], ["completions.owner", "completions.id"], ondelete="CASCADE"),
    Index(None, "owner", "key", "value", "completion_id"),  # lists are filtered by it
)
