"""The index in which texts are searched, and in it everything that there is."""

from __future__ import annotations

from itertools import count, groupby

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR

from myna.store.words import distinct

revision = "0009"
down_revision = "0008"

BATCH = 50
"""Texts in memory at once; one may have a million characters."""
OWNER_BITS = 40
WORD_LIST = ARRAY(sa.Text)
DOCUMENTS = sa.table("search_documents", *map(sa.column, ("entry", "owner", "chat_id", "message_id", "words")))
TITLES = "SELECT id, title AS text FROM chats WHERE owner = :owner AND title IS NOT NULL ORDER BY created_at, id"
MESSAGES = """
    SELECT m.id, p.text FROM messages m JOIN parts p ON p.owner = m.owner AND p.message_id = m.id AND p.type = 'text'
    WHERE m.owner = :owner AND m.status <> 'running' ORDER BY m.created_at, m.id, p.position
"""
# The words of a row as FTS5 has them: each behind its owner's number and the kind of the text.
TAG = "((ROW.entry >> 40) || iif(ROW.message_id IS NULL, 't', 'm'))"
WORDS = f"{TAG} || replace(ROW.words, ' ', ' ' || {TAG})"
ADDED = f"""
    CREATE TRIGGER search_document_added AFTER INSERT ON search_documents WHEN new.words <> ''
    BEGIN INSERT INTO search_index (rowid, words) VALUES (ROW.entry, {WORDS}); END
""".replace("ROW", "new")  # noqa: S608 - no values, but the words of the trigger itself
DELETED = f"""
    CREATE TRIGGER search_document_deleted AFTER DELETE ON search_documents WHEN old.words <> ''
    BEGIN INSERT INTO search_index (search_index, rowid, words) VALUES ('delete', ROW.entry, {WORDS}); END
""".replace("ROW", "old")  # noqa: S608


def upgrade() -> None:
    """Create the tables and the index, and fill them."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "search_owners",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_search_owners"),
        sa.UniqueConstraint("number", name="uq_search_owners_number"),
    )
    op.create_table(
        "search_documents",
        sa.Column("entry", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("chat_id", sa.String(36)),
        sa.Column("message_id", sa.String(36)),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
        sa.UniqueConstraint("chat_id", "owner", name="uq_search_documents_chat_id_owner"),
        sa.UniqueConstraint("message_id", "owner", name="uq_search_documents_message_id_owner"),
        sa.ForeignKeyConstraint(
            ["owner", "chat_id"], ["chats.owner", "chats.id"], name="fk_search_documents_chats", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["owner", "message_id"],
            ["messages.owner", "messages.id"],
            name="fk_search_documents_messages",
            ondelete="CASCADE",
        ),
    )
    if sqlite:
        # No copy of the text, and no positions in it: a row says which words a text has.
        op.execute(
            "CREATE VIRTUAL TABLE search_index USING fts5(words, content='', detail=none, columnsize=0, tokenize=ascii)"
        )
        op.execute(ADDED)
        op.execute(DELETED)
    _fill(op.get_bind(), sqlite)
    if not sqlite:
        op.execute(
            "CREATE INDEX ix_search_documents_words ON search_documents USING gin (words) WITH (fastupdate = off)"
        )


def _fill(connection: sa.Connection, sqlite: bool) -> None:
    owners = connection.execute(sa.text("SELECT DISTINCT owner FROM chats ORDER BY owner")).scalars().all()
    for number, owner in enumerate(owners, start=1):
        connection.execute(
            sa.text("INSERT INTO search_owners (owner, number) VALUES (:owner, :number)"),
            {"owner": owner, "number": number},
        )
        entries = count((number << OWNER_BITS) + 1)
        for column, tag, texts in (("chat_id", f"{number}t", TITLES), ("message_id", f"{number}m", MESSAGES)):
            words = (
                sa.bindparam("words") if sqlite else sa.func.array_to_tsvector(sa.bindparam("words", type_=WORD_LIST))
            )
            insert = sa.insert(DOCUMENTS).values(words=words)
            found = connection.execute(sa.text(texts), {"owner": owner}, execution_options={"yield_per": BATCH})
            for each, rows in groupby(found, key=lambda row: row.id):
                kept = distinct("".join(row.text for row in rows))
                row = {"entry": next(entries), "owner": owner, "chat_id": None, "message_id": None, column: each}
                row["words"] = " ".join(kept) if sqlite else [tag + word for word in kept]
                connection.execute(insert, row)
