"""Files, and uploads in parts that become files. What they hold lies beside the database (see `myna.store.blobs`)."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, Index, PrimaryKeyConstraint, String, Table, Text

from myna.store.pages import OBJECT_ID
from myna.store.tables.base import OWNER, metadata

BLOB = String(32)

files = Table(
    "files",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("blob", BLOB, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    PrimaryKeyConstraint("owner", "id"),
    Index(None, "owner", "purpose", "id"),
    Index(None, "expires_at"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("keep_seconds", BigInteger),  # how long the file is kept when it is complete; null: for ever
    Column("part_ids", JSON(none_as_null=True)),  # of a complete one: what it was made of
    Column("file", JSON(none_as_null=True)),  # of a complete one: the file as it was then; it may be gone
    PrimaryKeyConstraint("owner", "id"),
    Index(None, "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("upload_id", OBJECT_ID, nullable=False),
    Column("id", OBJECT_ID, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("blob", BLOB, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner", "upload_id", "id"),
    ForeignKeyConstraint(["owner", "upload_id"], ["uploads.owner", "uploads.id"], ondelete="CASCADE"),
)
