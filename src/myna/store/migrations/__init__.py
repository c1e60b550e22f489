"""How the schema came to be: one Alembic revision a file in `versions`, appended to and never edited once released."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from myna.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCRIPTS = Path(__file__).parent
HEAD = "0014"
"""The newest revision; known without importing Alembic, which an ordinary start then need not do."""


def check_known(where: object, current: str | None, scripts: Path, head: str) -> None:
    """Refuse a schema that none of the revisions made; None is the schema of an empty database.

    Raises:
        StoreError: a newer version of Myna wrote it.
    """
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    if current is None:
        return
    try:
        ScriptDirectory(str(scripts)).get_revision(current)
    except CommandError as error:
        raise StoreError(
            f"{where} was written by a newer Myna (schema {current}; this one knows up to {head}). "
            "Install the newer version, or choose another place for the data."
        ) from error


def run(connection: Connection, scripts: Path, head: str) -> None:
    """Run the revisions that are missing, within the connection's transaction.

    Raises:
        StoreError: they end somewhere else.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory(str(scripts))
    context = EnvironmentContext(
        Config(), directory, fn=lambda revision, _: directory._upgrade_revs(head, revision), destination_rev=head
    )
    with context:
        context.configure(connection=connection)
        context.run_migrations()
        reached = context.get_context().get_current_revision()
        if reached != head:
            raise StoreError(f"the migrations end at {reached}, not at {head}")
