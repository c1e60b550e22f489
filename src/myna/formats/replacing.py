"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from myna.errors import ConfigurationError, DiskFull


@contextmanager
def replacing(path: Path, needed: int = 0) -> Iterator[BinaryIO]:
    """A file to write to, beside ``path`` until the block ends without an error, then in its place.

    Raises:
        DiskFull: fewer than ``needed`` bytes are free, or the disk was full; nothing is left behind.
        ConfigurationError: the directory cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if needed > free:
            raise DiskFull(f"{path} needs {needed:,} bytes of free space, but {free:,} are free. Free some first.")
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"The disk was full before {path} was complete; nothing was kept. Free some first."
            ) from error
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        draft.unlink(missing_ok=True)
