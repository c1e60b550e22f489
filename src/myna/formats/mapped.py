"""A file mapped into memory, of which pieces are lent and given back."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from myna.errors import ModelFileError


def map_file(path: Path) -> mmap.mmap:
    """The whole file, read-only. Raises ModelFileError: missing, empty, no file or not readable."""
    try:
        if not path.is_file():
            raise ModelFileError(path, "it is a directory or a device" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise ModelFileError(path, "it is empty") from None
    except OSError as error:
        raise ModelFileError(path, f"it cannot be opened ({error.strerror})") from error


@contextmanager
def lend(data: mmap.mmap, start: int, size: int) -> Iterator[memoryview]:
    """Lend a piece; afterwards its pages are given back, so that they are not resident twice."""
    with memoryview(data) as whole, whole[start : start + size] as view:
        yield view
    if size and hasattr(mmap, "MADV_DONTNEED"):
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        data.madvise(mmap.MADV_DONTNEED, first, start + size - first)
