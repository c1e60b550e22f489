"""Find, fetch, list and remove models by name."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from myna.errors import DiskFull, HashMismatch, HubError, NotFound, SourcesUnreachable
from myna.hub import catalog
from myna.hub.cache import Cache, CacheEntry, has_size
from myna.hub.catalog import CatalogModel
from myna.hub.progress import Meter, Progress
from myna.hub.sources import RemoteFile, Snapshot, Source, SourceError
from myna.hub.sources.huggingface import locate
from myna.hub.sources.local import is_directory, is_local, local_bytes, local_model, looks_like_path

HUGGINGFACE_NAME = re.compile(
    r"hf:(?P<repository>[\w.-]+/[\w.-]+)"
    r"(?::(?P<file>[\w./ +-]+\.(gguf|safetensors|safetensors\.index\.json|bin|bin\.index\.json|pth)))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a name means. ``name`` is the canonical one: aliases and case resolved, paths absolute."""

    name: str
    kind: Literal["catalog", "huggingface", "local"]
    entry: CatalogModel | None = None


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that was pulled; ``pulled_at`` in Unix seconds. ``entry`` is what the catalog says about it.

    ``path`` is its file, or its directory where it has several; then ``sha256`` is that of their list.
    """

    name: str
    path: Path
    bytes: int
    sha256: str
    source: str
    pulled_at: float
    entry: CatalogModel | None


class Hub:
    """Models by name, kept below one directory.

    A name is one of the catalog's, ``hf:owner/repo``, ``hf:owner/repo:file``, or the path of a GGUF file or of a
    directory with a model. What has a GGUF file is that file; any other repository is a directory with its safetensors,
    configuration and vocabulary.
    """

    def __init__(self, models_dir: Path) -> None:
        self._cache = Cache(models_dir)

    @property
    def directory(self) -> Path:
        """Below which everything is kept."""
        return self._cache.directory

    def resolve(self, name: str) -> Reference:
        """What a name means, without looking at network or cache. Raises NotFound, with the nearest known name."""
        if name.startswith("hf:"):
            if not HUGGINGFACE_NAME.fullmatch(name) or ".." in name:
                raise NotFound(f"{name!r} is not of the form hf:owner/repo or hf:owner/repo:file.gguf.", param="model")
            return Reference(name, "huggingface")
        if entry := catalog.find(name):
            return Reference(entry.name, "catalog", entry)
        if looks_like_path(name) or is_local(name) or is_directory(name):
            return Reference(str(local_model(name)), "local")
        near = catalog.nearest(name)
        hint = f"Did you mean {near}?" if near else f"Known: {', '.join(model.name for model in catalog.models())}."
        raise NotFound(
            f"There is no model {name!r}. {hint} The path of a GGUF file or of a checkpoint's directory, or "
            "hf:owner/repo, works too.",
            param="model",
        )

    def find(self, name: str) -> Path | None:
        """The file or directory of a model on disk, else None. Raises NotFound for a name that means nothing."""
        reference = self.resolve(name)
        if reference.kind == "local":
            return Path(reference.name)
        entry = self._cache.lookup(reference.name)
        return self._cache.path(entry) if entry else None

    def size(self, name: str) -> int | None:
        """Bytes of a model that is on disk, else None. Raises NotFound for a name that means nothing."""
        reference = self.resolve(name)
        if reference.kind == "local":
            return local_bytes(reference.name)
        entry = self._cache.lookup(reference.name)
        return entry.bytes if entry else None

    def pull(self, name: str, progress: Progress | None = None) -> Path:
        """Fetch a model unless it is there, and return its file or directory. Blocks; several processes may pull.

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
            meter = Meter(source.label, progress)
            try:
                with _disk_errors(self._cache.directory):
                    if isinstance(source, Snapshot):
                        return self._fetch_snapshot(reference.name, source, meter)
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
                self._cache.path(entry),
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

    def _sources(self, reference: Reference, attempts: list[tuple[str, str]]) -> tuple[Source | Snapshot, ...]:
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

    def _fetch(self, name: str, source: Source, meter: Meter) -> Path:
        cache, digest = self._cache, source.digest
        blob = cache.blob(digest)
        with cache.lock(digest, waiting=meter.repeat):
            if not has_size(blob, source.bytes):
                partial = cache.partial(digest)
                _check_space(cache.directory, source.disk_bytes - _length(partial))
                with cache.workspace(digest) as workspace:
                    source.fetch(partial, workspace, meter.report)
                cache.commit(digest, source.bytes, blob)
            return cache.record(CacheEntry(name, digest, source.bytes, source.label, time.time()))

    def _fetch_snapshot(self, name: str, snapshot: Snapshot, meter: Meter) -> Path:
        cache = self._cache
        listed = "".join(f"{file.digest} {file.path}\n" for file in snapshot.files)
        digest = hashlib.sha256(listed.encode()).hexdigest()
        store = _Store(cache, digest, meter)
        with cache.lock(digest, waiting=meter.repeat):
            missing = store.missing(snapshot.files)
            there = snapshot.bytes - sum(file.bytes - _length(cache.partial(file.digest)) for file in missing)
            _check_space(cache.directory, snapshot.disk_bytes - there if missing else 0)
            snapshot.fetch(store, meter.report)
            return cache.record(
                CacheEntry(name, digest, snapshot.bytes, snapshot.label, time.time(), snapshot.files, snapshot.main)
            )


class _Store:
    """The cache as a snapshot sees it while it is fetched."""

    def __init__(self, cache: Cache, digest: str, meter: Meter) -> None:
        self._cache = cache
        self._digest = digest
        self._meter = meter

    def missing(self, files: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
        return tuple(file for file in files if not has_size(self._cache.part(file.digest), file.bytes))

    def partial(self, file: RemoteFile) -> Path:
        return self._cache.partial(file.digest)

    def held(self, file: RemoteFile) -> AbstractContextManager[None]:
        return self._cache.lock(file.digest, waiting=self._meter.repeat)

    def commit(self, file: RemoteFile) -> None:
        self._cache.commit(file.digest, file.bytes, self._cache.part(file.digest))

    def workspace(self) -> AbstractContextManager[Path]:
        return self._cache.workspace(self._digest)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_space(directory: Path, needed: int) -> None:
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
