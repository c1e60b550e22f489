"""The first tables: chats, messages and their parts, runs and their events, list changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table of the first version."""
    op.create_table(
        "chats",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("title", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("leaf_id", sa.String(36)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_chats"),
    )
    op.create_index("ix_chats_owner_updated_at_id", "chats", ["owner", "updated_at", "id"])
    op.create_table(
        "messages",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("chat_id", sa.String(36), nullable=False),
        sa.Column("parent_id", sa.String(36)),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(36)),
        sa.Column("usage", sa.JSON(none_as_null=True)),
        sa.Column("error", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_messages"),
        sa.UniqueConstraint("owner", "chat_id", "id", name="uq_messages_owner_chat_id_id"),
        sa.ForeignKeyConstraint(
            ["owner", "chat_id"], ["chats.owner", "chats.id"], name="fk_messages_chats", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["owner", "chat_id", "parent_id"],
            ["messages.owner", "messages.chat_id", "messages.id"],
            name="fk_messages_parent",
        ),
    )
    op.create_index("ix_messages_owner_chat_id_parent_id", "messages", ["owner", "chat_id", "parent_id"])
    op.create_table(
        "parts",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("token_ids", sa.LargeBinary()),
        sa.Column("tokenizer", sa.Text()),
        sa.PrimaryKeyConstraint("owner", "message_id", "position", name="pk_parts"),
        sa.ForeignKeyConstraint(
            ["owner", "message_id"], ["messages.owner", "messages.id"], name="fk_parts_messages", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "runs",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("chat_id", sa.String(36), nullable=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_runs"),
        sa.ForeignKeyConstraint(
            ["owner", "chat_id", "message_id"],
            ["messages.owner", "messages.chat_id", "messages.id"],
            name="fk_runs_messages",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_runs_owner_chat_id_message_id", "runs", ["owner", "chat_id", "message_id"])
    op.create_index("ix_runs_status", "runs", ["status"])
    op.create_table(
        "run_events",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("token_ids", sa.LargeBinary()),
        sa.Column("tokenizer", sa.Text()),
        sa.PrimaryKeyConstraint("owner", "run_id", "seq", name="pk_run_events"),
        sa.ForeignKeyConstraint(
            ["owner", "run_id"], ["runs.owner", "runs.id"], name="fk_run_events_runs", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "changes",
        sa.Column("cursor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_changes_owner_cursor", "changes", ["owner", "cursor"])
