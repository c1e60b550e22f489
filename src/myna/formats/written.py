"""Files that are written tensor by tensor, and whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from myna.errors import ConfigurationError, DiskFull
from myna.formats.types import BLOCK_TYPES


@dataclass(frozen=True, slots=True)
class Written:
    """A tensor to be written: its name, type and row-major shape, and what lends its bytes when it is its turn."""

    name: str
    type: str
    shape: tuple[int, ...]
    lend: Callable[[], AbstractContextManager[memoryview]]

    @property
    def bytes(self) -> int:
        """Stored size."""
        block = BLOCK_TYPES[self.type]
        return prod(self.shape) // block.elements * block.bytes


@contextmanager
def replacing(path: Path, needed: int = 0) -> Iterator[BinaryIO]:
    """A file to write to, beside ``path`` until the block ends without an error, then in its place.

    Raises:
        DiskFull: fewer than ``needed`` bytes are free, or the disk was full; nothing is left behind.
        ConfigurationError: the directory cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")  # two may write the same at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if needed > free:
            raise DiskFull(f"{path} needs {needed:,} bytes of free space, but {free:,} are free. Free some first.")
        with draft.open("xb") as file:
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
