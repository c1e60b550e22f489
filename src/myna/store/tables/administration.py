"""What was done by whom, and what owners decide for all."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table, Text

from myna.store.pages import OBJECT_ID
from myna.store.tables.base import OWNER, metadata

audit = Table(
    "audit_log",
    metadata,
    # No owner: what a user did is kept when the user, and everything that has this owner, is deleted. Rows are only
    # ever added; triggers (revision 0013) refuse everything else.
    Column("cursor", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor_id", OWNER, nullable=False),  # empty: nobody who is known
    Column("actor_name", Text, nullable=False),  # as it was
    Column("actor_key", OBJECT_ID),  # the API key that was used, if one was
    Column("action", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("object_id", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON, with every letter as it is, so that it can be searched
    Column("address", String(64)),
    Index(None, "actor_id", "cursor"),
    Index(None, "action", "cursor"),
    Index(None, "kind", "object_id", "cursor"),
    sqlite_autoincrement=True,
)

options = Table(
    "options",
    metadata,
    # No owner: they hold for everybody.
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)
