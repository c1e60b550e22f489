"""All that is a user's as one ZIP archive, made while it is sent, or one chat as a file.

The rows are written to a file without a name first, at the disk's speed and within one view of the database, so that
they fit together and a slow browser holds nothing open; then they and the user's files are packed a block at a time.
"""

from __future__ import annotations

import asyncio
import errno
import re
import tempfile
import zipfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, cast

import msgspec

from myna.errors import Conflict, NotFound, StorageFull
from myna.server.filenames import MOST_BYTES, Names, file_name
from myna.store import takeout
from myna.store.blobs import Blobs
from myna.store.database import Database
from myna.store.files import COLUMNS
from myna.store.tables.files import files

Form = Literal["markdown", "json"]
"""Of a chat's file."""
BLOCK = 256 << 10
LEVEL = 3
"""How hard is tried to make it small: twice as fast as the usual 6, for an eighth more bytes."""
UNTITLED = "Untitled"
_FIRST = (1980, 1, 1, 0, 0, 0)
"""Time begins here in a ZIP archive."""
READ_AT_ONCE = 2
"""Archives for which the database is read at the same time: each holds one of its few connections for reading."""

README = """\
What Myna at {origin} kept of {name} on {day}.

account.json           the account: name, role, limits
chats/ID.json          one chat each: {{"chat": its title, model, project and settings,
                       "messages": every message of every branch, oldest first. "parent_id" is the message that it
                       follows (null: it begins the chat); messages with one parent are branches, and the chat's
                       "leaf_id" ends the one that was shown last. "parts" has the text in order}}
markdown/DAY TITLE.md  the same chats to read: of each the branch that was shown last
data/TABLE.jsonl       everything else, one JSON object a line: preferences, projects, presets, usage by day, sessions,
                       API keys (without their secrets), and what programs stored through the API
files/ID-NAME          the files; data/files.jsonl says what each is called

Times are Unix milliseconds, days are of UTC, sizes are bytes. Passwords, keys and other secrets are not in here, nor
their hashes; nor is anything of other people.
"""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A member of the archive that lies in a spool. ``at``: when it was changed last, in Unix milliseconds."""

    name: str
    spool: IO[bytes]
    offset: int
    length: int
    at: int | None = None


class Takeout:
    """What is being made, an archive or a document: its blocks, and what they hold open until `aclose`."""

    def __init__(self, blocks: AsyncGenerator[bytes, None], held: AsyncExitStack) -> None:
        self._blocks = blocks
        self._held = held

    def __aiter__(self) -> Takeout:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._blocks)

    async def aclose(self) -> None:
        """End it, wherever it is."""
        await self._blocks.aclose()
        await self._held.aclose()


class Takeouts:
    """Makes archives, one at a time for each user; the rows of a few are read at once, and others wait for that."""

    def __init__(self, database: Database, blobs: Blobs, data_dir: Path) -> None:
        self._database = database
        self._blobs = blobs
        self._data_dir = data_dir
        self._busy: set[str] = set()
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def begin(self, owner: str, account: dict[str, Any], origin: str) -> Takeout:
        """The archive, a block at a time; the database was read when this returns. Close it, whatever becomes of it.

        Args:
            owner: whose.
            account: what is told of the account itself.
            origin: where it is, for the README.

        Raises:
            Conflict: another of this user's is being made.
            StoreError: the database failed, or the disk has no room for it.
        """
        if owner in self._busy:
            raise Conflict("Another export of yours is being made; wait for it or cancel that download.")
        self._busy.add(owner)
        stack = AsyncExitStack()
        stack.callback(self._busy.discard, owner)
        try:
            spool, readable = (stack.enter_context(unnamed(self._data_dir)) for _ in range(2))
            async with self._reading:
                pieces, blobs = await self._collect(owner, spool, readable)
        except BaseException:
            await stack.aclose()
            raise
        day = datetime.now(UTC).date().isoformat()
        texts = {
            "README.txt": README.format(origin=origin, name=account["name"], day=day).encode(),
            "account.json": msgspec.json.encode(account),
        }
        return Takeout(self._packed(owner, stack, texts, pieces, blobs), stack)

    async def chat(self, owner: str, chat_id: str, form: Form) -> tuple[str, Takeout]:
        """A name for a chat's file, and the file a block at a time. Close it, whatever becomes of it.

        Raises:
            NotFound: the owner has none of this id.
            StoreError: the database failed, or the disk has no room for it.
        """
        stack = AsyncExitStack()
        try:
            spool = stack.enter_context(unnamed(self._data_dir))
            async with self._reading, self._database.read(owner) as scope:
                chat = await takeout.conversation(scope, chat_id)
                async for document, text in chat.pieces:
                    await _write(spool, document if form == "json" else text)
        except BaseException:
            await stack.aclose()
            raise
        spool.seek(0)
        return file_name(chat.title or "", UNTITLED), Takeout(_blocks(stack, spool), stack)

    async def _collect(
        self, owner: str, spool: IO[bytes], readable: IO[bytes]
    ) -> tuple[list[_Piece], list[tuple[str, str]]]:
        """Write all rows to one spool and the Markdown of chats, which is made with them, to the other.

        What is where, and which blobs belong into the archive under which names.
        """
        pieces: list[_Piece] = []
        names = Names()

        def finish(name: str, since: int) -> None:
            pieces.append(_Piece(name, spool, since, spool.tell() - since))

        async with self._database.read(owner) as scope:
            current: str | None = None
            since = 0
            async for table, lines in takeout.tables(scope):
                if table != current:
                    if current is not None:
                        finish(f"data/{current}.jsonl", since)
                    current, since = table, spool.tell()
                await _write(spool, lines)
            if current is not None:
                finish(f"data/{current}.jsonl", since)
            async for chat in takeout.conversations(scope):
                starts = spool.tell(), readable.tell()
                async for document, text in chat.pieces:
                    await _write(spool, document)
                    await _write(readable, text)
                day = datetime.fromtimestamp(chat.created_at / 1000, UTC).date().isoformat()
                readable_name = names.new(f"{day} {file_name(chat.title or '', UNTITLED)}")
                named = (f"chats/{_safe(chat.id)}.json", f"markdown/{readable_name}.md")
                for name, file, start in zip(named, (spool, readable), starts, strict=True):
                    pieces.append(_Piece(name, file, start, file.tell() - start, chat.updated_at))
            stored = await scope.all(scope.select(files, *COLUMNS))
            blobs = [(f"files/{_safe(row.id)}-{_safe(row.filename)}", row.blob) for row in stored]
        return pieces, blobs

    async def _packed(
        self,
        owner: str,
        stack: AsyncExitStack,
        texts: dict[str, bytes],
        pieces: list[_Piece],
        blobs: list[tuple[str, str]],
    ) -> AsyncGenerator[bytes, None]:
        async with stack:
            archive = _Archive()
            for name, text in texts.items():
                with archive.member(name) as member:
                    member.write(text)
            for piece in pieces:
                with archive.member(piece.name, piece.at) as member:
                    piece.spool.seek(piece.offset)
                    left = piece.length
                    while left:
                        block = piece.spool.read(min(BLOCK, left))
                        left -= len(block)
                        await asyncio.to_thread(member.write, block)
                        yield archive.take()
            missing = []
            for name, blob in blobs:
                try:
                    async with aclosing(self._blobs.read(owner, blob)) as content:
                        first = await anext(content, b"")
                        with archive.member(name) as member:
                            await asyncio.to_thread(member.write, first)
                            async for block in content:
                                await asyncio.to_thread(member.write, block)
                                yield archive.take()
                except NotFound:  # deleted since the rows were read
                    missing.append(name)
            if missing:
                with archive.member("missing.txt") as member:
                    member.write(b"Deleted while this was made:\n" + "\n".join(missing).encode())
            archive.close()
            yield archive.take()


def unnamed(data_dir: Path) -> IO[bytes]:
    """A file without a name on the disk: whatever happens, nothing of it stays behind."""
    return tempfile.TemporaryFile(dir=data_dir)  # the caller closes it


async def _blocks(stack: AsyncExitStack, spool: IO[bytes]) -> AsyncGenerator[bytes, None]:
    async with stack:
        while block := await asyncio.to_thread(spool.read, BLOCK):
            yield block


async def _write(spool: IO[bytes], content: bytes) -> None:
    """Write to the disk beside the event loop. Raises StorageFull."""
    try:
        await asyncio.to_thread(spool.write, content)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFull("The server's disk has no room for the archive. Whoever runs it has to free some.") from error


class _Archive:
    """A ZIP archive that is taken away as it grows."""

    def __init__(self) -> None:
        self._made = bytearray()
        # Without `tell` and `seek` it knows that nothing can be changed later, and says sizes after the contents.
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self), "w", zipfile.ZIP_DEFLATED)

    def write(self, data: bytes) -> int:
        self._made += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def member(self, name: str, at: int | None = None) -> IO[bytes]:
        """A new member, to be written and closed before the next. ``at``: its time in Unix milliseconds, if not now."""
        time = datetime.now(UTC) if at is None else datetime.fromtimestamp(at / 1000, UTC)
        about = zipfile.ZipInfo(name, max(time.timetuple()[:6], _FIRST))
        about.compress_type = zipfile.ZIP_DEFLATED
        # Public from Python 3.13 on; the archive's own level is that of members without a date.
        setattr(about, "compress_level" if hasattr(about, "compress_level") else "_compresslevel", LEVEL)
        about.external_attr = 0o600 << 16
        return self._zip.open(about, "w", force_zip64=True)

    def take(self) -> bytes:
        """What has grown since."""
        made = bytes(self._made)
        self._made.clear()
        return made

    def close(self) -> None:
        """Write the list of members."""
        self._zip.close()


def _safe(name: str) -> str:
    """A name that is one step of a path wherever the archive is unpacked."""
    safe = re.sub(r"[^\w.-]+", "_", name).encode()[-MOST_BYTES:].decode(errors="ignore")
    return safe.strip(".") or "_"
