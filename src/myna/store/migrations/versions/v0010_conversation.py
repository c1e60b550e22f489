"""Who titled a chat, what an answer was asked for with, when a message was edited, and how long it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns; messages that are there get their sizes."""
    op.add_column("chats", sa.Column("titled_by", sa.String(16), nullable=False, server_default="text"))
    op.add_column("messages", sa.Column("parameters", sa.JSON(none_as_null=True)))
    op.add_column("messages", sa.Column("edited_at", sa.BigInteger()))
    op.add_column("messages", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    octets = "length(CAST(p.text AS BLOB))" if op.get_bind().dialect.name == "sqlite" else "octet_length(p.text)"
    op.execute(
        f"UPDATE messages SET size = (SELECT coalesce(sum({octets}), 0) FROM parts p "  # noqa: S608 - no values
        "WHERE p.owner = messages.owner AND p.message_id = messages.id)"
    )
