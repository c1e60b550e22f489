"""What the terminal shows besides answers: sizes, tidy columns, a progress bar. All but results goes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from myna.hub import PullProgress

if TYPE_CHECKING:
    from rich.progress import Progress


def size(count: float) -> str:
    """Bytes for people, in powers of 1000, as disks and downloads are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def harmless(text: str) -> str:
    """A file's own words with what could steer a terminal spelled out; line breaks and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def print_fields(fields: Mapping[str, str], *, err: bool = False) -> None:
    """Labels and values in two columns."""
    width = max(len(label) for label in fields)
    for label, value in fields.items():
        typer.echo(f"{label.replace('_', ' '):<{width}}  {value}", err=err)


class PullDisplay:
    """A download on stderr: a bar with speed and time left; where there is no terminal, a line now and then."""

    LINES = 10

    def __init__(self, name: str) -> None:
        self.name = name
        self._progress: Progress | None = None
        self._source = ""
        self._printed = -1

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TaskProgressColumn,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
            )
            self._task = self._progress.add_task(f"Fetching {self.name}", total=None)
            self._progress.start()
        else:
            typer.echo(f"Fetching {self.name} …", err=True)
        return self

    def update(self, progress: PullProgress) -> None:
        """Show how far it is."""
        if self._progress is not None:
            if progress.source != self._source:
                self._source = progress.source
                self._progress.console.print(f"From {progress.source}", markup=False, highlight=False)
            self._progress.update(self._task, completed=progress.done, total=progress.total or None)
            return
        tenth = progress.done * self.LINES // progress.total if progress.total else 0
        if tenth == self._printed and progress.source == self._source:
            return
        self._printed, self._source = tenth, progress.source
        line = f"  {size(progress.done)} of {size(progress.total)}" if progress.total else f"  {size(progress.done)}"
        line += f" from {progress.source}"
        if speed := progress.bytes_per_second:
            line += f", {size(speed)}/s"
            line += f", {duration((progress.total - progress.done) / speed)} left" if progress.total else ""
        typer.echo(line, err=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
