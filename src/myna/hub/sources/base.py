"""What every source of a model can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Report = Callable[[int, int], None]
"""Called with bytes done and bytes in all, several times a second; raising from it ends the fetch."""


class SourceError(Exception):
    """This source did not deliver, and why; the next one is tried."""


class Source(Protocol):
    """A place that has one model file, of known size and hash."""

    @property
    def label(self) -> str:
        """Name for people."""

    @property
    def bytes(self) -> int:
        """Size of the model file."""

    @property
    def sha256(self) -> str:
        """Hash of the model file, as hexadecimal digits."""

    @property
    def disk_bytes(self) -> int:
        """Space that fetching takes, the model file included."""

    def fetch(self, partial: Path, workspace: Path, report: Report) -> None:
        """Write the model file to ``partial``, going on from what is there where the source allows that.

        ``workspace`` is an empty directory on the same disk for anything else. Raises SourceError.
        """

    def check(self) -> None:
        """Ask whether the source could deliver, without fetching. Takes seconds at most. Raises SourceError."""
