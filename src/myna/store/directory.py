"""The data directory: private, and one process's own, or shared by those whose rows are in one database elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from myna.errors import ConfigurationError

LOCK = "myna.lock"
"""File in the data directory that the process which uses it holds locked."""


class Lock(Protocol):
    """What keeps other processes out of a data directory."""

    def release(self) -> object:
        """Let them in."""


class SharedLock:
    """A lock that any number of processes hold together, and that keeps out who wants the directory alone."""

    def __init__(self, path: Path) -> None:
        import fcntl

        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise

    def release(self) -> None:
        """Let others in."""
        os.close(self._file)


def share(data_dir: Path) -> Lock:
    """Use a data directory together with other processes of one database; on Windows alone.

    Raises:
        ConfigurationError: it cannot be used, or a process uses it alone.
    """
    if os.name == "nt":
        return take(data_dir)
    prepare_directory(data_dir)
    try:
        return SharedLock(data_dir / LOCK)
    except BlockingIOError as error:
        raise _in_use(data_dir) from error
    except OSError as error:
        raise unusable_directory(data_dir, error) from error


def take(data_dir: Path) -> FileLock:
    """Make a data directory this process's own, creating it if there is none.

    Raises:
        ConfigurationError: it cannot be used, or another process uses it.
    """
    prepare_directory(data_dir)
    lock = FileLock(data_dir / LOCK, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise _in_use(data_dir) from error
    except OSError as error:
        raise unusable_directory(data_dir, error) from error
    return lock


def prepare_directory(data_dir: Path) -> None:
    """Create the data directory, readable by its owner alone.

    Raises:
        ConfigurationError: something is in the way, or it cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data_dir / LOCK).touch()  # the lock itself does not tell "locked" from "cannot be written"
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(
            f"The data directory {data_dir} cannot be used: {error.filename or data_dir} is a file. "
            "Choose a directory with --data-dir or MYNA_DATA_DIR.",
            param="data_dir",
        ) from error
    except OSError as error:
        raise unusable_directory(data_dir, error) from error


def unusable_directory(data_dir: Path, error: OSError) -> ConfigurationError:
    """The data directory cannot be created or written, with the system's reason."""
    return ConfigurationError(
        f"The data directory {data_dir} cannot be written: {error.strerror or error}. "
        "Make it writable or choose another with --data-dir or MYNA_DATA_DIR.",
        param="data_dir",
    )


def _in_use(data_dir: Path) -> ConfigurationError:
    return ConfigurationError(
        f"Another Myna already uses the data directory {data_dir}. "
        "Use its window, end it, or choose another directory with --data-dir.",
        param="data_dir",
    )
