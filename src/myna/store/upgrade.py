"""From any older schema to the newest: copy first, migrate in one transaction, verify, put the copy back on failure."""

from __future__ import annotations

import logging
from pathlib import Path

from myna.errors import StoreError
from myna.store import migrations, sqlite

logger = logging.getLogger(__name__)


def upgrade(path: Path, *, scripts: Path = migrations.SCRIPTS, head: str = migrations.HEAD) -> Path | None:
    """Bring a database to ``head``, creating it if there is none; where the copy lies if one had to be made.

    Raises:
        StoreError: newer than this program, damaged, or the migration failed (the database is then as before).
    """
    current = sqlite.revision(path)
    if current == head:
        return None
    if current is None:
        _migrate(path, scripts, head)
        return None
    migrations.check_known(path, current, scripts, head)
    backup = path.parent / "backups" / f"{path.stem}-{current}{path.suffix}"
    try:
        sqlite.copy(path, backup)
    except Exception as error:
        raise StoreError(
            f"The database {path} has to be upgraded, but a copy of it could not be made first: {error}. "
            f"It needs {path.stat().st_size} bytes in {backup.parent}; nothing was changed."
        ) from error
    try:
        _migrate(path, scripts, head)
    except Exception as error:
        try:
            sqlite.copy(backup, path)
        except Exception as second:
            raise StoreError(
                f"Upgrading {path} failed ({error}), and so did putting the copy back ({second}). "
                f"The copy from before is {backup}."
            ) from error
        raise StoreError(
            f"Upgrading {path} from schema {current} to {head} failed: {error}. "
            f"Everything is as before; use the previous version of Myna meanwhile. A copy is {backup}."
        ) from error
    logger.warning("Upgraded %s from schema %s to %s; a copy from before is %s", path, current, head, backup)
    return backup


def _migrate(path: Path, scripts: Path, head: str) -> None:
    # A revision may rebuild a table, for which its references must not be enforced; they are verified at the end.
    with sqlite.alone(path) as connection:
        migrations.run(connection, scripts, head)
