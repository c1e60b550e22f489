"""A backup as a file: a ZIP of the database as SQLite keeps it, the files' contents, the settings, and a manifest.

The manifest comes last and names everything with its size and SHA-256, so an archive that was cut off has none. What an
archive names is never used as a path: only the members that are known here are read, under the names they have here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from myna.errors import StorageFull, StoreError
from myna.store.blobs import BLOCK_BYTES
from myna.store.swap import DATABASE, SETTINGS

MANIFEST = "manifest.json"
FORMAT = 1
_BLOB = re.compile(r"files/([A-Za-z0-9_-]{1,64})/([0-9a-f]{32})")
_MOST_MANIFEST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive. ``sha256`` is in hexadecimal digits."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. ``version`` is Myna's, ``made_at`` Unix milliseconds, ``schema`` that of the database."""

    version: str
    made_at: int
    schema: str
    members: dict[str, Member]
    format: int = FORMAT


def blob_name(owner: str, blob_id: str) -> str:
    """The member that holds a file's content."""
    return f"files/{owner}/{blob_id}"


def is_known(name: str) -> bool:
    """Whether a member is one that a backup has."""
    return name in (DATABASE, SETTINGS) or _BLOB.fullmatch(name) is not None


class Writer:
    """An archive in the making: until `finish` gives it its ``path`` it is ``draft``, on the same disk."""

    def __init__(self, path: Path, draft: Path) -> None:
        self.path = path
        self._draft = draft
        self._file = os.fdopen(os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        self.members: dict[str, Member] = {}

    def add(self, name: str, source: Path) -> None:
        """Take a file's content.

        Raises:
            FileNotFoundError: it is not there.
            OSError: it cannot be read, or the archive not be written.
        """
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as content, self._zip.open(name, "w", force_zip64=True) as member:
            while block := content.read(BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                member.write(block)
        self.members[name] = Member(size, digest.hexdigest())

    def finish(self, *, version: str, made_at: int, schema: str) -> None:
        """Write the manifest, see to it that the disk has everything, and give the archive its name."""
        manifest = Manifest(version, made_at, schema, self.members)
        self._zip.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError, ValueError):  # the disk is full, or a member was cut off
            self._zip.close()
        self._file.close()
        self._draft.unlink(missing_ok=True)


class Reader:
    """An archive that is read. Use it in a ``with`` block.

    Raises:
        StoreError: no archive of Myna's, cut off, or of a later version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise StoreError(f"There is no file {path}.") from None
        except (zipfile.BadZipFile, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"{path} is not a backup, or was cut off: {reason}.") from error
        try:
            self.manifest = self._read_manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def size(self) -> int:
        """Bytes that everything takes when it is unpacked."""
        return sum(member.bytes for member in self.manifest.members.values())

    def extract(self, name: str, target: Path) -> None:
        """Write a member to a file, synced; verified against the manifest as it is read.

        Raises:
            StoreError: it is not what the manifest says.
            StorageFull: the disk is full.
        """
        wanted = self.manifest.members[name]
        digest, size = hashlib.sha256(), 0
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                for block in self._blocks(name, wanted):
                    digest.update(block)
                    size += len(block)
                    out.write(block)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise StorageFull(
                f"{target} cannot be written: {error.strerror or error}. The backup needs {self.size} bytes."
            ) from error
        if (size, digest.hexdigest()) != (wanted.bytes, wanted.sha256):
            raise self._damaged(f"{name} is not what was backed up")

    def _blocks(self, name: str, wanted: Member) -> Iterator[bytes]:
        try:
            with self._zip.open(name) as member:
                yield from _up_to(member, wanted.bytes + 1)
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise self._damaged(f"{name} cannot be read ({error})") from error

    def _read_manifest(self) -> Manifest:
        if MANIFEST not in self._zip.namelist():
            raise StoreError(f"{self.path} is no backup of Myna's: it has no {MANIFEST}.")
        try:
            with self._zip.open(MANIFEST) as member:
                document: Any = json.loads(b"".join(_up_to(member, _MOST_MANIFEST_BYTES)))
            if document["format"] != FORMAT:
                raise StoreError(f"{self.path} was made by a newer Myna ({document['version']}): restore it with that.")
            members = {name: Member(int(each["bytes"]), each["sha256"]) for name, each in document["members"].items()}
            manifest = Manifest(str(document["version"]), int(document["made_at"]), str(document["schema"]), members)
        except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise self._damaged("it has no manifest that can be read") from error
        if DATABASE not in members or not all(map(is_known, members)):
            raise self._damaged("its manifest names what a backup does not have")
        return manifest

    def _damaged(self, reason: str) -> StoreError:
        return StoreError(f"{self.path} is damaged: {reason}. Nothing was restored; use another backup.")


def _up_to(member: IO[bytes], most: int) -> Iterator[bytes]:
    """A member's content, no more of it than that: what it claims to be is not believed."""
    while most > 0 and (block := member.read(min(BLOCK_BYTES, most))):
        most -= len(block)
        yield block
