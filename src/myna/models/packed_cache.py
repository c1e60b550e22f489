"""Packed weights on disk: what took long to quantise is mapped at the next start, not computed again.

::

    packed/
      <key>.packed     a header of JSON, then every weight as the executor keeps it, at multiples of 64 bytes

The key covers the model's files (path, size, time of change), what became what, and the layout of packed weights, so a
file that no longer fits is never found. Files appear whole or not at all; their bytes are not checked again, as the
model's own are not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import shutil
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from myna import _native
from myna.errors import ModelFileError, MynaError
from myna.formats import ModelFile
from myna.formats.jsonfile import parse_object
from myna.formats.mapped import map_file
from myna.formats.written import replacing
from myna.models.packing import Packing

MAGIC = b"MYNAPACK"
VERSION = 1
ALIGNMENT = 64
MAX_HEADER_BYTES = 2**24
FREE_SHARE = 0.1
"""Of the disk that stays free: a cache must not be what fills it."""

ABANDONED_SECONDS = 3600
"""After which nobody is still writing a file that has not grown."""

_PREFIX = struct.Struct("<8sI")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PackedCache:
    """Packed weights below ``directory``."""

    directory: Path

    def load(self, executor: _native.Executor, key: str, plan: Sequence[Packing]) -> bool:
        """Give the executor every weight of ``plan``, mapped; False where the cache has none that fit.

        After False an executor may have some of them, and they may be set again.
        """
        path = self._path(key)
        if not path.is_file():
            return False
        try:
            data = map_file(path)
            places = _places(path, data, key)
            for packing in plan:
                start, size = places[packing.weight.name]
                executor.set_packed(packing.weight.name, memoryview(data)[start : start + size], packing.target)
        except (MynaError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s is not used and will be made anew: %s", path, error)
            return False
        return True

    def store(self, executor: _native.Executor, key: str, source: ModelFile, plan: Sequence[Packing]) -> None:
        """Write every weight of ``plan``, and drop what was kept of the same model before. Failing is only logged."""
        needed = sum(packing.bytes for packing in plan)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            disk = shutil.disk_usage(self.directory)
            if disk.free - needed < disk.total * FREE_SHARE:
                _log.warning("%s has no room to keep %d MiB of packed weights.", self.directory, needed >> 20)
                return
            sizes = [(packing.weight.name, len(executor.packed(packing.weight.name))) for packing in plan]
            with replacing(self._path(key)) as file:
                file.write(_header(key, source.path, sizes))
                for name, size in sizes:
                    file.write(executor.packed(name))
                    file.write(bytes(-size % ALIGNMENT))
        except (MynaError, OSError) as error:
            _log.warning("Packed weights are not kept: %s", error)
            return
        for path in (*self._stale(source.path, key), *self._abandoned()):
            path.unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes of all that is kept."""
        return sum(path.stat().st_size for path in self.directory.glob("*.packed"))

    def prune(self) -> int:
        """Drop what belongs to models that are no longer there. Returns the bytes freed."""
        freed = 0
        for path in (*self._orphans(), *self._abandoned()):
            freed += path.stat().st_size
            path.unlink(missing_ok=True)
        return freed

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.packed"

    def _orphans(self) -> Iterator[Path]:
        for path in list(self.directory.glob("*.packed")):
            source = _source(path)
            if source is None or not Path(source).exists():
                yield path

    def _abandoned(self) -> Iterator[Path]:
        """What processes that were killed had begun to write."""
        for path in list(self.directory.glob(".*.tmp")):
            with suppress(FileNotFoundError):  # finished meanwhile
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    yield path

    def _stale(self, source: Path, key: str) -> Iterator[Path]:
        for path in list(self.directory.glob("*.packed")):
            if path.stem != key and _source(path) == str(source):
                yield path


def is_worth_keeping(plan: Sequence[Packing]) -> bool:
    """Whether floats have to become integers, which takes far longer than putting blocks in another order."""
    return any(p.stored.type in ("F32", "F16", "BF16") and p.target.startswith("w") for p in plan)


def cache_key(file: ModelFile, plan: Sequence[Packing]) -> str:
    """What names the packed weights of a model, loaded by a plan, on disk."""
    files = []
    for path in _files(file):
        about = path.stat()
        files.append([str(path.resolve()), about.st_size, about.st_mtime_ns])
    steps = [[p.weight.name, p.weight.rows, p.weight.columns, p.stored.type, p.target] for p in plan]
    described = json.dumps([VERSION, _native.PACKED_LAYOUT, sorted(files), sorted(steps)])
    return hashlib.sha256(described.encode()).hexdigest()[:32]


def _files(file: ModelFile) -> Iterator[Path]:
    """All files that a model's weights and configuration may lie in."""
    if file.path.is_file():
        yield from file.path.parent.glob(f"{escape(file.path.name.partition('-00001-of-')[0])}*")
    for directory in file.directories:
        yield from (path for path in directory.iterdir() if path.is_file())


def _header(key: str, source: Path, sizes: Sequence[tuple[str, int]]) -> bytes:
    places, position = {}, 0
    for name, size in sizes:
        places[name] = [position, size]
        position += -(-size // ALIGNMENT) * ALIGNMENT
    content = json.dumps({"key": key, "source": str(source), "bytes": position, "weights": places}).encode()
    content += b" " * (-(_PREFIX.size + len(content)) % ALIGNMENT)
    return _PREFIX.pack(MAGIC, len(content)) + content


def _read_header(path: Path, data: bytes | mmap.mmap) -> tuple[dict[str, object], int]:
    """The header, and where the weights begin. Raises ModelFileError."""
    if len(data) < _PREFIX.size:
        raise ModelFileError(path, "it is too short")
    magic, length = _PREFIX.unpack_from(data)
    start = _PREFIX.size + length
    if magic != MAGIC or length > MAX_HEADER_BYTES or start > len(data):
        raise ModelFileError(path, "it does not begin as packed weights do")
    return parse_object(path, bytes(data[_PREFIX.size : start])), start


def _places(path: Path, data: mmap.mmap, key: str) -> dict[str, tuple[int, int]]:
    """Where each weight lies in the file. Raises ModelFileError, or KeyError, TypeError, ValueError for odd headers."""
    header, start = _read_header(path, data)
    weights, size = header["weights"], header["bytes"]
    if header["key"] != key or not isinstance(weights, dict) or size != len(data) - start:
        raise ModelFileError(path, "it is truncated, or of another model")
    places = {}
    for name, (position, length) in weights.items():
        if not 0 <= position <= position + length <= len(data) - start:
            raise ModelFileError(path, f"weight {name!r} lies outside of it")
        places[name] = (start + position, length)
    return places


def _source(path: Path) -> str | None:
    """The model that a file was made of; None where it does not say."""
    try:
        with path.open("rb") as file:
            prefix = file.read(_PREFIX.size)
            length = min(_PREFIX.unpack(prefix)[1], MAX_HEADER_BYTES)
            source = _read_header(path, prefix + file.read(length))[0].get("source")
    except (OSError, MynaError, struct.error):
        return None
    return source if isinstance(source, str) else None
