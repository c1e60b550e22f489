"""Find, fetch, list and remove models by name."""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from myna.errors import DiskFull, HashMismatch, HubError, NotFound, SourcesUnreachable
from myna.hub import catalog
from myna.hub.cache import Cache
from myna.hub.catalog import CatalogModel
from myna.hub.sources import Source, SourceError
from myna.hub.sources.huggingface import locate
from myna.hub.sources.local import is_file, local_file, looks_like_path

HUGGINGFACE_NAME = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?::(?P<file>[\w./ +-]+\.gguf))?", re.ASCII)
REPORT_SECONDS = 0.1
SPEED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Reference:
    """What a name means. ``name`` is the canonical one: aliases and case resolved, paths absolute."""

    name: str
    kind: Literal["catalog", "huggingface", "local"]
    entry: CatalogModel | None = None


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Bytes done and in all, the speed of the last seconds, and where they come from."""

    done: int
    total: int
    bytes_per_second: float
    source: str


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that was pulled; ``pulled_at`` in Unix seconds. ``entry`` is what the catalog says about it."""

    name: str
    path: Path
    bytes: int
    sha256: str
    source: str
    pulled_at: float
    entry: CatalogModel | None


Progress = Callable[[PullProgress], None]


class Hub:
    """Models by name, kept below one directory.

    A name is one of the catalog's, ``hf:owner/repo``, ``hf:owner/repo:file.gguf``, or the path of a GGUF file.
    """

    def __init__(self, models_dir: Path) -> None:
        self._cache = Cache(models_dir)

    def resolve(self, name: str) -> Reference:
        """What a name means, without looking at network or cache. Raises NotFound, with the nearest known name."""
        if name.startswith("hf:"):
            if not HUGGINGFACE_NAME.fullmatch(name) or ".." in name:
                raise NotFound(f"{name!r} is not of the form hf:owner/repo or hf:owner/repo:file.gguf.", param="model")
            return Reference(name, "huggingface")
        if entry := catalog.find(name):
            return Reference(entry.name, "catalog", entry)
        if looks_like_path(name) or is_file(name):
            return Reference(str(local_file(name)), "local")
        near = catalog.nearest(name)
        hint = f"Did you mean {near}?" if near else f"Known: {', '.join(model.name for model in catalog.models())}."
        raise NotFound(
            f"There is no model {name!r}. {hint} A path to a GGUF file or hf:owner/repo works too.", param="model"
        )

    def find(self, name: str) -> Path | None:
        """The file of a model that is on disk, else None. Raises NotFound for a name that means nothing."""
        reference = self.resolve(name)
        if reference.kind == "local":
            return Path(reference.name)
        entry = self._cache.lookup(reference.name)
        return self._cache.blob(entry.sha256) if entry else None

    def pull(self, name: str, progress: Progress | None = None) -> Path:
        """Fetch a model unless it is there, and return its file. Blocks; several processes may pull at once.

        ``progress`` is called several times a second, also while another process fetches the same model. Whatever it
        raises ends the pull and is passed on; what has arrived is kept for the next time.

        Raises:
            NotFound: the name means nothing.
            SourcesUnreachable: every source was tried in turn.
            HashMismatch: what arrived is not what was promised.
            DiskFull: there is no room.
            HubError: the directory cannot be written.
        """
        if (path := self.find(name)) is not None:
            return path
        reference = self.resolve(name)
        attempts: list[tuple[str, str]] = []
        mismatch: HashMismatch | None = None
        for source in self._sources(reference, attempts):
            meter = _Meter(source.label, progress)
            try:
                with _disk_errors(self._cache.directory):
                    return self._fetch(reference.name, source, meter)
            except SourceError as error:
                attempts.append((source.label, str(error)))
            except HashMismatch as error:
                attempts.append((source.label, error.message))
                mismatch = error
        if mismatch is not None and len(attempts) == 1:
            raise mismatch
        raise SourcesUnreachable(reference.name, attempts)

    def local(self) -> list[LocalModel]:
        """Every model that was pulled and is whole, by name."""
        return [
            LocalModel(
                entry.name,
                self._cache.blob(entry.sha256),
                entry.bytes,
                entry.sha256,
                entry.source,
                entry.pulled_at,
                catalog.find(entry.name),
            )
            for entry in self._cache.entries()
        ]

    def remove(self, name: str) -> int:
        """Delete a pulled model and return the bytes freed. Raises NotFound when it is not on disk."""
        reference = self.resolve(name)
        entry = self._cache.lookup(reference.name)
        if entry is None:
            raise NotFound(f"{reference.name} was not pulled, so there is nothing to remove.", param="model")
        return self._cache.remove(entry)

    def check_sources(self, name: str) -> list[tuple[str, str | None]]:
        """Every source of a model, with None where it could deliver now, or why not. Takes seconds, fetches nothing."""
        attempts: list[tuple[str, str]] = []
        checked: list[tuple[str, str | None]] = []
        for source in self._sources(self.resolve(name), attempts):
            try:
                source.check()
                checked.append((source.label, None))
            except SourceError as error:
                checked.append((source.label, str(error)))
        return [*attempts, *checked]

    def _sources(self, reference: Reference, attempts: list[tuple[str, str]]) -> tuple[Source, ...]:
        if reference.entry is not None:
            return reference.entry.sources
        match = HUGGINGFACE_NAME.fullmatch(reference.name)
        if match is None:
            return ()
        try:
            return (locate(match["repository"], match["file"]),)
        except SourceError as error:
            attempts.append((f"Hugging Face {match['repository']}", str(error)))
            return ()

    def _fetch(self, name: str, source: Source, meter: _Meter) -> Path:
        cache, sha256 = self._cache, source.sha256
        with cache.lock(sha256, waiting=meter.repeat):
            if not cache.has_blob(sha256, source.bytes):
                partial, workspace = cache.partial(sha256), cache.workspace(sha256)
                _check_space(cache.directory, source, partial)
                shutil.rmtree(workspace, ignore_errors=True)
                workspace.mkdir()
                try:
                    source.fetch(partial, workspace, meter.report)
                finally:
                    shutil.rmtree(workspace, ignore_errors=True)
                cache.commit(sha256, source.bytes)
            cache.record(name, sha256, source.bytes, source.label)
            return cache.blob(sha256)


class _Meter:
    """Turns a source's reports into `PullProgress`, not too often, with the speed of the last seconds."""

    def __init__(self, source: str, progress: Progress | None) -> None:
        self._source = source
        self._progress = progress
        self._samples: deque[tuple[float, int]] = deque()
        self._reported = float("-inf")
        self._last = PullProgress(0, 0, 0.0, source)

    def report(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._progress is None or (now - self._reported < REPORT_SECONDS and done < total):
            return
        self._reported = now
        self._samples.append((now, done))
        while now - self._samples[0][0] > SPEED_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        speed = max(0, done - before) / (now - since) if now > since else 0.0
        self._last = PullProgress(done, total, speed, self._source)
        self._progress(self._last)

    def repeat(self) -> None:
        """Say once more what was said last, so that whoever waits can still cancel."""
        if self._progress is not None:
            self._progress(self._last)


def _check_space(directory: Path, source: Source, partial: Path) -> None:
    there = partial.stat().st_size if partial.exists() else 0
    needed = source.disk_bytes - there
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise DiskFull(
            f"{directory} needs {needed:,} bytes of free space, but {free:,} are free. "
            "Free some, or choose another directory with --data-dir."
        )


@contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    """Say what is the matter with the disk."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(directory).free
            raise DiskFull(
                f"{directory} is full ({free:,} bytes are free). What has arrived is kept where the source can go on "
                "from it. Free some space, or choose another directory with --data-dir."
            ) from error
        raise HubError(
            f"{error.filename or directory} cannot be used: {error.strerror or error}. "
            "Make it writable, or choose another directory with --data-dir."
        ) from error
