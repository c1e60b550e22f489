"""Who titled a chat, what an answer was asked for with, and when a message was edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("chats", sa.Column("titled_by", sa.String(16), nullable=False, server_default="text"))
    op.add_column("messages", sa.Column("parameters", sa.JSON(none_as_null=True)))
    op.add_column("messages", sa.Column("edited_at", sa.BigInteger()))
