"""What every source of a model can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
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
    def digest(self) -> str:
        """Of the model file: its SHA-256, or ``git-`` and the hash by which Git knows it."""

    @property
    def disk_bytes(self) -> int:
        """Space that fetching takes, the model file included."""

    def fetch(self, partial: Path, workspace: Path, report: Report) -> None:
        """Write the model file to ``partial``, going on from what is there where the source allows that.

        ``workspace`` is an empty directory on the same disk for anything else. Raises SourceError.
        """

    def check(self) -> None:
        """Ask whether the source could deliver, without fetching. Takes seconds at most. Raises SourceError."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model of several, by its path in the model's directory; `Source.digest` says how it is known."""

    path: str
    bytes: int
    digest: str


class Store(Protocol):
    """Where a snapshot puts its files."""

    def missing(self, files: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
        """Those that are not there yet."""

    def partial(self, file: RemoteFile) -> Path:
        """Where a file gathers; what is there already may be gone on from."""

    def held(self, file: RemoteFile) -> AbstractContextManager[None]:
        """Hold a file's lock."""

    def commit(self, file: RemoteFile) -> None:
        """A gathered file is whole. Raises HashMismatch when it is not what was promised."""

    def workspace(self) -> AbstractContextManager[Path]:
        """An empty directory for anything else."""


class Snapshot(Protocol):
    """A place that has a model of several files.

    ``main`` is the file that is the model (the first part of a split one); without one, their directory is.
    """

    @property
    def label(self) -> str:
        """Name for people."""

    @property
    def files(self) -> tuple[RemoteFile, ...]: ...
    @property
    def main(self) -> str | None: ...
    @property
    def bytes(self) -> int:
        """Size of all files."""

    @property
    def disk_bytes(self) -> int:
        """Space that fetching takes, the files included."""

    def fetch(self, store: Store, report: Report) -> None:
        """Put every missing file into the store. Raises SourceError."""

    def check(self) -> None:
        """Ask whether the source could deliver, without fetching. Takes seconds at most. Raises SourceError."""
