"""What is searched: the words of each message and each chat's title.

Beside these tables lies an index that is each database's own and in no metadata: in SQLite the virtual table
`search_index` (FTS5), kept by triggers on `search_documents`; in PostgreSQL a GIN index of the words.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from myna.store.tables.base import ID, OWNER, metadata

search_owners = Table(
    "search_owners",
    metadata,
    Column("owner", OWNER, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner"),
    UniqueConstraint("number"),
)

search_documents = Table(
    "search_documents",
    metadata,
    # FTS5 knows a row by one integer, so this alone is the key; its upper bits are the owner's number.
    Column("entry", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("owner", OWNER, nullable=False),
    Column("chat_id", ID),  # of a title
    Column("message_id", ID),  # of a message
    Column("words", Text().with_variant(TSVECTOR, "postgresql"), nullable=False),
    # The owner last: SQLite would else look through all that is his for the few rows whose numbers it has.
    UniqueConstraint("chat_id", "owner"),
    UniqueConstraint("message_id", "owner"),
    ForeignKeyConstraint(["owner", "chat_id"], ["chats.owner", "chats.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["owner", "message_id"], ["messages.owner", "messages.id"], ondelete="CASCADE"),
)
