"""``python -m tests.scripted serve …``: the program `myna` with scripted models in the place of its engines."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import myna.backends.manager
import myna.backends.process
import myna.cli.serve
import myna.server.serve
from myna.hub import Hub, catalog
from myna.hub.catalog import CatalogModel, RecommendedSampling
from myna.hub.sources.base import Report
from myna.settings import load_settings
from tests.scripted import engine

STEPS = 20
PULL_SECONDS = 2.0


@dataclass(frozen=True)
class ScriptedSource:
    """A model file of a name's own content, fetched in steps."""

    name: str
    seconds: float = 0.0
    label: str = "a script"

    @property
    def content(self) -> bytes:
        return f"model {self.name}\n".encode() * 1000

    @property
    def bytes(self) -> int:
        return len(self.content)

    @property
    def disk_bytes(self) -> int:
        return self.bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def fetch(self, partial: Path, workspace: Path, report: Report) -> None:
        for step in range(STEPS):
            report(self.bytes * step // STEPS, self.bytes)
            time.sleep(self.seconds / STEPS)
        partial.write_bytes(self.content)

    def check(self) -> None:
        return


def model(name: str, title: str, *, on_disk: bool = True, **fields: Any) -> CatalogModel:
    """An entry of the catalog."""
    source = ScriptedSource(name, 0.0 if on_disk else PULL_SECONDS)
    known: dict[str, Any] = {
        "aliases": (),
        "description": f"{title} says what its script says.",
        "parameters": 1_000_000,
        "context": 8192,
        "licence": "apache-2.0",
        "sampling": RecommendedSampling(),
        "dialect": "chatml",
        "template_sha256": "",
    }
    return CatalogModel(name=name, title=title, sources=(source,), **{**known, **fields})


ON_DISK = (
    model("scripted:chat", "Scripted"),
    model("scripted:other", "Other"),
    model("scripted:short", "Short", context=engine.CONTEXTS["scripted:short"]),
    model("scripted:base", "Base", dialect=""),
    model("scripted:community", "Community", licence="llama3.2"),
    model("scripted:research", "Research", licence="cc-by-nc-4.0"),
    model("scripted:broken", "Broken"),
)
CATALOG = (*ON_DISK, model("scripted:remote", "Remote", on_disk=False))


def main() -> None:
    """Put the scripts in and run the program."""
    catalog.models = lambda: CATALOG  # type: ignore[assignment]
    myna.backends.manager.connect = engine.connect  # type: ignore[assignment]
    myna.backends.manager.EngineProcess = engine.ScriptedProcess  # type: ignore[assignment,misc]
    myna.cli.serve.start_early = lambda settings: None
    if web := os.environ.get("SCRIPTED_WEB"):  # a browser application of its own, which a test may change
        myna.server.serve.create_app = functools.partial(myna.server.serve.create_app, static=Path(web))  # type: ignore[attr-defined]
    hub = Hub(load_settings().models_dir)
    for each in ON_DISK:
        hub.pull(each.name)
    from myna.cli import main as program

    program()


if __name__ == "__main__":
    main()
