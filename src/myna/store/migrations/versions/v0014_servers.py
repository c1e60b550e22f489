"""The server processes that share a database: which one writes a run, and what they tell each other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

TELL = """
    CREATE FUNCTION myna_tell() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        said text := coalesce(nullif(current_setting('myna.server', true), ''), '0') || ' ' || TG_ARGV[0];
        one jsonb;
    BEGIN
        IF TG_NARGS > 1 THEN
            one := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
            FOR i IN 1 .. TG_NARGS - 1 LOOP
                said := said || ' ' || (one ->> TG_ARGV[i]);
            END LOOP;
        END IF;
        PERFORM pg_notify('myna', said);
        RETURN NULL;
    END $$
"""
"""Says the number of the process that writes, a kind, and of the row the columns that are named."""

EACH = [
    ("changes", "INSERT", "'lists', 'owner'"),
    ("run_events", "INSERT", "'run', 'owner', 'run_id'"),
    ("runs", "UPDATE OF status OR DELETE", "'run', 'owner', 'id'"),
    ("response_events", "INSERT", "'response', 'owner', 'response_id'"),
    ("responses", "UPDATE OF status OR DELETE", "'response', 'owner', 'id'"),
]
USES = "- 'last_seen_at' - 'last_used_at' - 'expires_at'"
"""What changes with every use of an account, which none need hear of. A key's time never changes."""


def upgrade() -> None:
    """Add the columns, and on PostgreSQL what tells the other processes."""
    for table in ("runs", "responses"):
        op.add_column(table, sa.Column("server", sa.Integer()))
    op.add_column("run_events", sa.Column("details", sa.JSON(none_as_null=True)))
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(TELL)
    for table, event, words in EACH:
        op.execute(
            f"CREATE TRIGGER {table}_tell AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION myna_tell({words})"
        )
    for table in ("users", "sessions", "api_keys", "second_factors"):
        op.execute(
            f"CREATE TRIGGER {table}_tell AFTER INSERT OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION myna_tell('accounts')"
        )
        changed = f"to_jsonb(OLD) {USES} IS DISTINCT FROM to_jsonb(NEW) {USES}"
        op.execute(
            f"CREATE TRIGGER {table}_tell_change AFTER UPDATE ON {table} "
            f"FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION myna_tell('accounts')"
        )
    op.execute(
        "CREATE TRIGGER options_tell AFTER INSERT OR UPDATE OR DELETE ON options "
        "FOR EACH STATEMENT EXECUTE FUNCTION myna_tell('options')"
    )
