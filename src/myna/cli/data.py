"""``myna backup``, ``myna restore``, ``myna move-data``, ``myna doctor --data``: what people made is kept."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import typer

from myna.cli.terminal import size
from myna.settings import Settings


def back_up(settings: Settings, target: Path | None, keep: int | None) -> None:
    """Make a backup and say where it is."""
    from myna.store import backup

    folder = target if target is not None and target.is_dir() else backup.directory(settings.data_dir)
    if target is None or target.is_dir():
        target = folder / backup.name_for(time.time_ns() // 1_000_000)
    made = backup.make(settings.data_dir, settings.database, target, _tell)
    typer.echo(f"{made.path}: {size(made.bytes)}, with {made.files} files.")
    if made.lost:
        typer.echo(f"{made.lost} files are gone from the disk and are not in it: see myna doctor --data.", err=True)
    if keep is not None:
        for path in backup.prune(target.parent, keep):
            typer.echo(f"Deleted the older {path}.")
    if target.resolve().is_relative_to(settings.data_dir.resolve()):
        typer.echo("Copy it to another disk: here it is lost with the rest if this one fails.")


def put_back(settings: Settings, archive: Path, *, replace: bool) -> None:
    """Restore a backup and say what became of what there was."""
    from myna.store.restore import restore

    done = restore(archive, settings.data_dir, settings.database, replace=replace, tell=_tell)
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(done.manifest.made_at / 1000))
    typer.echo(f"Restored the backup of {made} (Myna {done.manifest.version}).")
    if done.kept is not None:
        typer.echo(f"What was there before is in {done.kept}; delete it when all is well.")


def move(settings: Settings, to: str) -> None:
    """Copy everything to another database, and say how to use that."""
    from myna.store import move as moving

    rows = moving.move(settings.data_dir, settings.database, to, _tell)
    typer.echo(f"Copied and compared {rows} rows.")
    if to == moving.EMBEDDED:
        typer.echo("Remove database_url from the settings (MYNA_DATABASE_URL) and start Myna.")
    else:
        typer.echo("Set database_url to the new database (MYNA_DATABASE_URL or myna.toml) and start Myna.")
    typer.echo("The old database is as it was; delete it when all is well. Uploaded files stay in the data directory.")


def print_findings(settings: Settings, *, as_json: bool) -> None:
    """Look at what is stored; leave with 1 when something is wrong."""
    from myna.cli.doctor import print_report
    from myna.store.inspection import inspect

    print_report(inspect(settings.data_dir, settings.database), as_json=as_json)


def _tell(step: str) -> None:
    if sys.stderr.isatty():
        typer.echo(f"  {step}", err=True)
