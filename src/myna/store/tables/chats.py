"""Projects and chats, their messages and parts, runs and their events, and what changed in the lists."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from myna.store.tables.base import ID, OWNER, metadata

projects = Table(
    "projects",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("owner", "id"),
)

chats = Table(
    "chats",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", ID, nullable=False),
    Column("title", Text),
    Column("model", Text),
    Column("leaf_id", ID),  # no foreign key: it would be circular; `messages.delete` keeps it valid
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("titled_by", String(16), nullable=False, server_default="text"),
    Column("pinned_at", BigInteger),
    Column("archived_at", BigInteger),
    # No foreign key: SQLite can add none of two columns to a table there is; `projects.delete` keeps it valid.
    Column("project_id", ID),
    Column("system_prompt", Text),
    Column("parameters", JSON(none_as_null=True)),
    PrimaryKeyConstraint("owner", "id"),
    Index(None, "owner", "updated_at", "id"),
    Index(None, "owner", "project_id", "updated_at", "id"),
)
Index(
    "ix_chats_pinned",
    *(chats.c.owner, chats.c.updated_at, chats.c.id),
    sqlite_where=chats.c.pinned_at.is_not(None),
    postgresql_where=chats.c.pinned_at.is_not(None),
)
Index(
    "ix_chats_archived",
    *(chats.c.owner, chats.c.updated_at, chats.c.id),
    sqlite_where=chats.c.archived_at.is_not(None),
    postgresql_where=chats.c.archived_at.is_not(None),
)

messages = Table(
    "messages",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", ID, nullable=False),
    Column("chat_id", ID, nullable=False),
    Column("parent_id", ID),
    Column("role", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("model", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("run_id", ID),
    Column("usage", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Column("parameters", JSON(none_as_null=True)),
    Column("edited_at", BigInteger),
    # Bytes of its parts' texts: a database reads a text to tell its length, and a long chat has a great many.
    Column("size", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("owner", "id"),
    # Also the index by which a chat's messages are found; a parent is of the same chat by construction.
    UniqueConstraint("owner", "chat_id", "id"),
    ForeignKeyConstraint(["owner", "chat_id"], ["chats.owner", "chats.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["owner", "chat_id", "parent_id"],
        ["messages.owner", "messages.chat_id", "messages.id"],
        name="fk_messages_parent",
    ),
    Index(None, "owner", "chat_id", "parent_id"),
)

parts = Table(
    "parts",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("message_id", ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("type", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("token_ids", LargeBinary),  # packed little-endian int32
    Column("tokenizer", Text),  # fingerprint of the vocabulary the ids belong to
    PrimaryKeyConstraint("owner", "message_id", "position"),
    ForeignKeyConstraint(["owner", "message_id"], ["messages.owner", "messages.id"], ondelete="CASCADE"),
)

runs = Table(
    "runs",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", ID, nullable=False),
    Column("chat_id", ID, nullable=False),
    Column("message_id", ID, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("last_event", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("request", String(64), nullable=False),  # digest of what was asked, to know a request sent again
    Column("server", Integer),  # the process that writes it, among those that share the database
    PrimaryKeyConstraint("owner", "id"),
    ForeignKeyConstraint(
        ["owner", "chat_id", "message_id"], ["messages.owner", "messages.chat_id", "messages.id"], ondelete="CASCADE"
    ),
    Index(None, "owner", "chat_id", "message_id"),
    Index(None, "status"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("run_id", ID, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text),
    Column("token_ids", LargeBinary),
    Column("tokenizer", Text),
    Column("details", JSON(none_as_null=True)),  # of the first: what it says beside the tokenizer
    PrimaryKeyConstraint("owner", "run_id", "seq"),
    ForeignKeyConstraint(["owner", "run_id"], ["runs.owner", "runs.id"], ondelete="CASCADE"),
)

changes = Table(
    "changes",
    metadata,
    # Grows for ever and is never used twice, also after pruning (SQLite reuses plain row ids).
    Column("cursor", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("owner", OWNER, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("id", ID, nullable=False),
    Index(None, "owner", "cursor"),
    sqlite_autoincrement=True,
)
