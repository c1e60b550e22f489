"""Everything from one database to another: between the data directory's own and one on a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from myna.errors import ConfigurationError, StoreError
from myna.store import directory, postgres, sqlite, swap, transfer
from myna.store.swap import DATABASE
from myna.store.upgrade import upgrade

EMBEDDED = "sqlite"
"""Names the data directory's own database as the target."""


def move(data_dir: Path, url: str | None, to: str, tell: transfer.Tell) -> int:
    """Copy all rows to an empty database and compare them one by one; how many there are. The source stays as it is.

    Both sides are brought to the newest schema first. What fails leaves the target empty.

    Args:
        data_dir: whose data they are; no server may use it meanwhile.
        url: the database that is used so far; None: the data directory's own.
        to: ``postgresql://…``, or `EMBEDDED`.
        tell: told of each step.

    Raises:
        ConfigurationError: the target is the source or malformed, or a server uses one of them.
        StoreError: the target is not empty, one of them cannot be used, or the copy differs.
    """
    if (url is None) == (to == EMBEDDED):
        raise ConfigurationError(
            "Data move from the data directory to PostgreSQL (--to postgresql://…) or, with database_url set, back "
            f"(--to {EMBEDDED}); from one server to another PostgreSQL's own tools do it.",
            param="to",
        )
    if url is None and not data_dir.is_dir():
        raise StoreError(f"There is nothing to move: {data_dir} does not exist.")
    lock = directory.take(data_dir)
    try:
        swap.finish(data_dir)
        path = data_dir / DATABASE
        if url is None:
            if sqlite.revision(path) is None:
                raise StoreError(f"There is nothing to move: {path} does not exist.")
            upgrade(path)
            with sqlite.reading(path) as source, postgres.alone(to) as target:
                return _copy(source, target, tell)
        if path.exists():
            raise StoreError(f"{path} exists already: move it away first.")
        with postgres.alone(url) as source:
            stage = swap.begin(data_dir)
            upgrade(stage / DATABASE)
            with sqlite.alone(stage / DATABASE) as target:
                rows = _copy(source, target, tell)
        swap.commit(data_dir)
        return rows
    finally:
        lock.release()


def _copy(source: Connection, target: Connection, tell: transfer.Tell) -> int:
    rows = transfer.copy_rows(source, target, tell)
    transfer.compare(source, target, tell)
    return rows
