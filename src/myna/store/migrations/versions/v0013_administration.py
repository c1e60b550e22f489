"""What was done by whom, what owners decide for all, and how long answers took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

PRUNED = """
    EXISTS (SELECT 1 FROM audit_log AS pruning WHERE pruning.action = 'audit.prune' AND pruning.cursor > OLD.cursor
            AND CAST(pruning.object_id AS BIGINT) > OLD.at)
"""
"""Whether an entry that is written down says that this older one may go: nothing is removed unseen."""


def upgrade() -> None:
    """Create the tables, and let the database itself refuse changes of the audit log."""
    op.create_table(
        "audit_log",
        sa.Column("cursor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("actor_key", sa.String(64)),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("address", sa.String(64)),
        sqlite_autoincrement=True,
    )
    for columns in (["actor_id", "cursor"], ["action", "cursor"], ["kind", "object_id", "cursor"]):
        op.create_index(f"ix_audit_log_{'_'.join(columns)}", "audit_log", columns)
    op.create_table(
        "options",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
    )
    for name in ("timed_tokens", "timed_milliseconds"):
        op.add_column("usage", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    op.execute(
        "CREATE TRIGGER audit_log_keeps BEFORE UPDATE ON audit_log "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )
    op.execute(
        f"CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log WHEN NOT {PRUNED} "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )
    op.execute(  # INSERT OR REPLACE fires no trigger for the row that it deletes
        "CREATE TRIGGER audit_log_adds BEFORE INSERT ON audit_log "
        "WHEN EXISTS (SELECT 1 FROM audit_log AS known WHERE known.cursor = NEW.cursor) "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        f"""
        CREATE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF {PRUNED} THEN RETURN OLD; END IF;
            END IF;
            RAISE EXCEPTION 'the audit log is append-only';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_log_keeps BEFORE UPDATE OR DELETE ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION audit_log_guard()"
    )
    op.execute(
        "CREATE TRIGGER audit_log_stays BEFORE TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_guard()"
    )
