"""Exchanging what a data directory holds for what lies verified in a directory beside it.

All that remains then are renames, and a killed process leaves a mark by which the next start ends them: a data
directory is never half one and half the other.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from itertools import chain, count
from pathlib import Path

from myna.errors import StoreError

DATABASE, SETTINGS, FILES = "myna.db", "myna.toml", "files"
STAGE = ".restoring"
"""Directory in the data directory that holds what is to come."""
_READY = "ready.json"
"""In it when all is verified; it says where what was there before goes."""


def begin(data_dir: Path) -> Path:
    """An empty stage."""
    stage = data_dir / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(mode=0o700)
    return stage


def commit(data_dir: Path) -> Path:
    """Exchange what the stage holds: a database, files, settings. Where what was there before lies now, if it was."""
    stage = data_dir / STAGE
    at = f"replaced-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    names = chain([at], (f"{at}-{number}" for number in count(2)))
    kept = next(name for name in names if not (data_dir / "backups" / name).exists())
    old = [FILES] if (stage / FILES).exists() else []
    if (stage / DATABASE).exists():
        old += [DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"]
    draft = stage / "draft"
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"kept": kept, "old": [name for name in old if (data_dir / name).exists()]}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(stage / _READY)
    finish(data_dir)
    return data_dir / "backups" / kept


def finish(data_dir: Path) -> None:
    """End an exchange that was cut off after its mark was made; undo one that was cut off before.

    The caller holds the data directory.

    Raises:
        StoreError: the system refuses a rename.
    """
    stage = data_dir / STAGE
    if not stage.is_dir():
        return
    try:
        if (stage / _READY).is_file():
            ready = json.loads((stage / _READY).read_text(encoding="utf-8"))
            for name in ready["old"]:
                # What goes together is put aside before the first of what takes its place is there.
                if (stage / (FILES if name == FILES else DATABASE)).exists() and (data_dir / name).exists():
                    (data_dir / "backups" / ready["kept"]).mkdir(mode=0o700, parents=True, exist_ok=True)
                    (data_dir / name).replace(data_dir / "backups" / ready["kept"] / name)
            for name in (SETTINGS, FILES, DATABASE):
                if (stage / name).exists():
                    (stage / name).replace(data_dir / name)
        shutil.rmtree(stage)
    except OSError as error:
        raise StoreError(
            f"A restore in {data_dir} could not be ended: {error.strerror or error}. "
            "Make the directory writable and try again; nothing is lost."
        ) from error
