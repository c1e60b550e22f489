"""Users, their browsers' sessions, their API keys, and what else lets them in.

Secrets are not here, only what tells them: of a password its argon2id hash; of a session's token, a key, an invitation
(256 random bits each) and a recovery code a SHA-256, by which they are found; of a passkey its public key. The secret
of a second factor is.
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
    Column("method", String(16), nullable=False, server_default="password"),
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

invitations = Table(
    "invitations",
    metadata,
    # The owner is who invites: with him his invitations go.
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("role", String(16), nullable=False),
    Column("name", String(64)),
    Column("most_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    PrimaryKeyConstraint("owner", "id"),
    UniqueConstraint("digest"),
    ForeignKeyConstraint(["owner"], ["users.id"], ondelete="CASCADE"),
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("owner", OWNER, nullable=False),
    # As it is: to check a code the server needs it, and a key to it would lie beside it.
    Column("secret", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),  # null: set up, and not asked for yet
    Column("last_step", BigInteger, nullable=False),  # the time step of the last code that was taken
    PrimaryKeyConstraint("owner"),
    ForeignKeyConstraint(["owner"], ["users.id"], ondelete="CASCADE"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("used_at", BigInteger),
    PrimaryKeyConstraint("owner", "digest"),
    ForeignKeyConstraint(["owner"], ["users.id"], ondelete="CASCADE"),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("name", String(64), nullable=False),
    Column("site", String(253), nullable=False),  # the host name that it was made for, and works with
    Column("credential", LargeBinary(1023), nullable=False),  # by what the authenticator knows it
    Column("public_key", LargeBinary, nullable=False),  # as COSE has it
    Column("uses", BigInteger, nullable=False),  # the authenticator's own count; 0 where it keeps none
    Column("synced", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    PrimaryKeyConstraint("owner", "id"),
    UniqueConstraint("credential"),
    ForeignKeyConstraint(["owner"], ["users.id"], ondelete="CASCADE"),
)

passkey_challenges = Table(
    "passkey_challenges",
    metadata,
    # Nobody's yet: of what a browser was asked to sign, a hash that says nothing of whom it was asked for.
    Column("digest", DIGEST, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("digest"),
)

provider_identities = Table(
    "provider_identities",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("label", String(256)),  # for people: the provider's name of the user
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    PrimaryKeyConstraint("owner", "issuer"),
    UniqueConstraint("issuer", "subject"),
    ForeignKeyConstraint(["owner"], ["users.id"], ondelete="CASCADE"),
)
