"""Chats pinned, archived and in projects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table of projects, and what a chat needs to be in one."""
    op.create_table(
        "projects",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_projects"),
    )
    op.add_column("chats", sa.Column("pinned_at", sa.BigInteger()))
    op.add_column("chats", sa.Column("archived_at", sa.BigInteger()))
    op.add_column("chats", sa.Column("project_id", sa.String(36)))
    op.create_index("ix_chats_owner_project_id_updated_at_id", "chats", ["owner", "project_id", "updated_at", "id"])
    for name in ("pinned", "archived"):
        filled = sa.text(f"{name}_at IS NOT NULL")
        op.create_index(
            f"ix_chats_{name}", "chats", ["owner", "updated_at", "id"], sqlite_where=filled, postgresql_where=filled
        )
