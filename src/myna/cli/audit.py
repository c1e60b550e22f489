"""``myna audit``: who did what, where no server runs that could show it (its application can)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myna.cli.options import DataOption

if TYPE_CHECKING:
    from myna.store.audit import Entry, Filter

TOGETHER = 500
"""Entries that are read at once."""


def audit(
    actor: Annotated[str | None, typer.Option("--actor", metavar="ID", help="Only what this user did.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help="Such as key.revoke, or key. for all of these.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Only entries that contain it.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0 for all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    data_dir: DataOption = None,
) -> None:
    """Show who did what.

    To accounts, keys, models and settings, the newest first. No server may be running on the data directory; one that
    runs has its own page.
    """
    import asyncio

    from myna.store.audit import Filter

    asyncio.run(_show(data_dir, Filter(actor=actor, action=action, text=text), limit, as_json))


async def _show(data_dir: Path | None, wanted: Filter, limit: int, as_json: bool) -> None:
    import dataclasses

    from myna.errors import StoreError
    from myna.settings import load_settings
    from myna.store.audit import entries
    from myna.store.database import opened
    from myna.store.swap import DATABASE

    settings = load_settings(data_dir=data_dir)
    if settings.database is None and not (settings.data_dir / DATABASE).exists():
        raise StoreError(f"{settings.data_dir} has no {DATABASE}: name the data directory with --data-dir.")
    before: int | None = None
    left = limit or None
    async with opened(settings.data_dir, settings.database) as database:
        while left is None or left > 0:
            count = TOGETHER if left is None else min(TOGETHER, left)
            async with database.read("") as scope:
                found = await entries(scope.transaction, wanted, before=before, limit=count)
            for entry in found:
                typer.echo(json.dumps(dataclasses.asdict(entry)) if as_json else _line(entry))
            if len(found) < count:
                return
            before, left = found[-1].cursor, None if left is None else left - count


def _line(entry: Entry) -> str:
    """An entry on one line; names are printed so that no terminal obeys what is in them."""
    from datetime import UTC, datetime

    when = datetime.fromtimestamp(entry.at / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    about = f"{entry.kind} {entry.object_id}".strip()
    details = json.dumps(entry.details) if entry.details else ""
    return "  ".join(part for part in (when, entry.action, ascii(entry.actor_name), ascii(about), details) if part)
