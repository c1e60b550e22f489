"""What a batch has so far, on the disk: appended to, in groups that the disk has before anybody is told of them.

A record is a line: the number of the line of the input that it answers, whether it goes to the output or to the errors,
the tokens that it took, and the answer's own line, with tabs between them. So the draft alone says which lines are
done. What a crash left of a last record is cut off when it is opened, and that line is done anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import NamedTuple

OUTPUT, ERROR = b"o", b"e"
BLOCK_BYTES = 256 << 10


class Usage(NamedTuple):
    """Tokens of a request, or of many."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def plus(self, other: Usage) -> Usage:
        """The sum of both."""
        return Usage(*map(int.__add__, self, other))


@dataclass(frozen=True, slots=True)
class Record:
    """How a line of the input was answered; ``json`` has no line break."""

    number: int
    kind: bytes
    usage: Usage
    json: bytes

    def encoded(self) -> bytes:
        """As it is stored."""
        return b"%d\t%b\t%d %d %d %d\t%b\n" % (self.number, self.kind, *self.usage, self.json)


@dataclass(slots=True)
class _Group:
    """Records that are written together."""

    records: list[Record] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Draft:
    """An open draft. Create it with `Draft.open`.

    Attributes:
        completed: records of the output.
        failed: records of the errors.
        usage: of all of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.completed = self.failed = 0
        self.usage = Usage()
        self._done = bytearray()  # by line number
        self._size = 0
        self._group = _Group()
        self._writing = asyncio.Lock()
        self._file: FileIO | None = None

    @classmethod
    async def open(cls, path: Path) -> Draft:
        """Open a draft, or begin one.

        Raises:
            OSError: it cannot be read or written.
        """
        draft = cls(path)
        await asyncio.to_thread(draft._open)
        return draft

    def has(self, number: int) -> bool:
        """Whether a line of the input is answered."""
        return number < len(self._done) and bool(self._done[number])

    async def append(self, *records: Record) -> None:
        """Return when the disk has the records; those that come meanwhile are written together.

        Raises:
            OSError: they could not be written; none of them is there then.
        """
        group = self._group
        group.records += records
        if group.task is None:
            group.task = asyncio.create_task(self._write(group))
        await asyncio.shield(group.task)

    async def lines(self, kind: bytes) -> AsyncGenerator[bytes, None]:
        """The answers' own lines of one kind, in the order in which they were done, some at a time."""
        with await asyncio.to_thread(self.path.open, "rb") as file:
            while lines := await asyncio.to_thread(file.readlines, BLOCK_BYTES):
                parts = (line.split(b"\t", 3) for line in lines)
                yield b"".join(part[3] for part in parts if part[1] == kind)

    async def settled(self) -> None:
        """Return when what is on its way is written, also what its sender has given up waiting for."""
        if (task := self._group.task) is not None:
            await asyncio.wait({task})
        async with self._writing:
            pass

    async def close(self) -> None:
        """Close the file once what is on its way is written."""
        await self.settled()
        if self._file is not None:
            self._file.close()
            self._file = None

    async def remove(self) -> None:
        """Close and delete it."""
        await self.close()
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(self.path.unlink)

    async def _write(self, group: _Group) -> None:
        async with self._writing:
            self._group = _Group()
            await asyncio.to_thread(self._append, b"".join(record.encoded() for record in group.records))
            for record in group.records:
                self._note(record.number, record.kind, record.usage)

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        self._size += len(data)

    def _note(self, number: int, kind: bytes, usage: Usage) -> None:
        if number >= len(self._done):
            self._done.extend(bytes(number + 1024 - len(self._done)))
        self._done[number] = 1
        if kind == OUTPUT:
            self.completed += 1
        else:
            self.failed += 1
        self.usage = self.usage.plus(usage)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = FileIO(self.path, "a+b", opener=_private)
        with self.path.open("rb") as file:
            for line in file:
                head = _head(line)
                if head is None:
                    break
                self._note(*head)
                self._size += len(line)
        self._file.truncate(self._size)
        self._file.seek(self._size)


def _head(line: bytes) -> tuple[int, bytes, Usage] | None:
    """Number, kind and usage of a record; None if it is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        number, kind, usage, _ = line.split(b"\t", 3)
        return int(number), kind, Usage._make(map(int, usage.split(b" ")))
    except (ValueError, TypeError):
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def leftovers(root: Path) -> Iterator[Path]:
    """Every draft below a directory."""
    return root.glob("*/*")
