"""What users have chosen for themselves."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Integer, PrimaryKeyConstraint, Table

from myna.store.tables.base import OWNER, metadata

preferences = Table(
    "preferences",
    metadata,
    # No foreign key: the user of a server without accounts has preferences too.
    Column("owner", OWNER, nullable=False),
    Column("document", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner"),
)
