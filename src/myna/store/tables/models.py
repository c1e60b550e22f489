"""What users keep about models, and what the server has measured of them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, PrimaryKeyConstraint, String, Table, Text

from myna.store.tables.base import ID, OWNER, metadata

presets = Table(
    "presets",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text),
    Column("system_prompt", Text),
    Column("parameters", JSON, nullable=False),
    Column("is_default", Boolean, nullable=False),  # of new chats; one at most
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner", "id"),
)

acknowledgements = Table(
    "licence_acknowledgements",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("licence", String(64), nullable=False),
    Column("model", Text, nullable=False),  # for which it was read first
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner", "licence"),
)

# Without an owner: it is the machine's own, and says nothing about anybody's answers.
speeds = Table(
    "model_speeds",
    metadata,
    Column("model", String(500), nullable=False),
    Column("tokens", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("model"),
)
