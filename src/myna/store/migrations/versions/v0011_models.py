"""How a model is asked: parameters and prompts of chats, presets, licences that were acknowledged, measured speeds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns and create the tables."""
    op.add_column("chats", sa.Column("system_prompt", sa.Text()))
    op.add_column("chats", sa.Column("parameters", sa.JSON()))
    op.create_table(
        "presets",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("system_prompt", sa.Text()),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_presets"),
    )
    op.create_table(
        "licence_acknowledgements",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("licence", sa.String(64), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "licence", name="pk_licence_acknowledgements"),
    )
    op.create_table(
        "model_speeds",
        sa.Column("model", sa.String(500), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model", name="pk_model_speeds"),
    )
