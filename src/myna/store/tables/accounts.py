"""Users, their browsers' sessions and their API keys.

Secrets are not here, only what tells them: of a password its argon2id hash, of a session's token and of a key (256
random bits both) a SHA-256, by which they are found.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from myna.store.pages import OBJECT_ID
from myna.store.tables.base import OWNER, metadata

DIGEST = LargeBinary(32)

users = Table(
    "users",
    metadata,
    # No owner: a user is one. Everybody else's rows name him by it, also where no account was made ("local").
    Column("id", OWNER, nullable=False),
    Column("name", String(64), nullable=False),
    Column("name_key", String(256), nullable=False),  # folded: no two names that differ in case alone
    Column("password", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("requests_per_minute", Integer),
    Column("tokens_per_minute", BigInteger),
    Column("tokens_per_day", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("name_key"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("agent", String(256)),
    Column("address", String(64)),
    PrimaryKeyConstraint("owner", "id"),
    UniqueConstraint("digest"),
    ForeignKeyConstraint(["owner"], ["users.id"], ondelete="CASCADE"),
)

keys = Table(
    "api_keys",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    Column("permission", String(16), nullable=False),
    Column("requests_per_minute", Integer),
    Column("tokens_per_minute", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("expires_at", BigInteger),
    PrimaryKeyConstraint("owner", "id"),
    UniqueConstraint("digest"),
    ForeignKeyConstraint(["owner"], ["users.id"], ondelete="CASCADE"),
)
