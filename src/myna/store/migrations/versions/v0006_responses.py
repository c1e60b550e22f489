"""Responses, conversations and their items, stored completions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    create_conversations()
    create_completions()
    create_responses()


def create_conversations() -> None:
    """Conversations, and the items of each in their order."""
    op.create_table(
        "conversations",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("next_position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_conversations"),
    )
    op.create_table(
        "conversation_items",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("item", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "conversation_id", "position", name="pk_conversation_items"),
        sa.UniqueConstraint("owner", "conversation_id", "id", name="uq_conversation_items_owner_conversation_id_id"),
        sa.ForeignKeyConstraint(
            ["owner", "conversation_id"],
            ["conversations.owner", "conversations.id"],
            name="fk_conversation_items_conversations",
            ondelete="CASCADE",
        ),
    )


def create_completions() -> None:
    """Stored chat completions, the messages they answer, and their labels."""
    op.create_table(
        "completions",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("completion", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_completions"),
    )
    op.create_index("ix_completions_owner_model_id", "completions", ["owner", "model", "id"])
    op.create_table(
        "completion_messages",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("completion_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("message", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "completion_id", "position", name="pk_completion_messages"),
        sa.ForeignKeyConstraint(
            ["owner", "completion_id"],
            ["completions.owner", "completions.id"],
            name="fk_completion_messages_completions",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "completion_metadata",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("completion_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("owner", "completion_id", "key", name="pk_completion_metadata"),
        sa.ForeignKeyConstraint(
            ["owner", "completion_id"],
            ["completions.owner", "completions.id"],
            name="fk_completion_metadata_completions",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_completion_metadata_owner_key_value_completion_id",
        "completion_metadata",
        ["owner", "key", "value", "completion_id"],
    )


def create_responses() -> None:
    """Responses, their items in order, and the event logs of those that ran in background."""
    op.create_table(
        "responses",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("previous_id", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("background", sa.Boolean(), nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_responses"),
    )
    op.create_index("ix_responses_status", "responses", ["status"])
    for name, columns, keys in (
        (
            "response_items",
            (
                sa.Column("position", sa.Integer(), nullable=False),
                sa.Column("given", sa.Boolean(), nullable=False),
                sa.Column("id", sa.String(64), nullable=False),
                sa.Column("item", sa.JSON(), nullable=False),
            ),
            ("owner", "response_id", "position"),
        ),
        (
            "response_events",
            (sa.Column("seq", sa.Integer(), nullable=False), sa.Column("frame", sa.Text(), nullable=False)),
            ("owner", "response_id", "seq"),
        ),
    ):
        op.create_table(
            name,
            sa.Column("owner", sa.String(64), nullable=False),
            sa.Column("response_id", sa.String(64), nullable=False),
            *columns,
            sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}"),
            sa.ForeignKeyConstraint(
                ["owner", "response_id"],
                ["responses.owner", "responses.id"],
                name=f"fk_{name}_responses",
                ondelete="CASCADE",
            ),
        )
    op.create_index("ix_response_items_owner_id", "response_items", ["owner", "id"])
