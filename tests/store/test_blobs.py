from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from myna.errors import NotFound, StorageFull, StoreError, TooLarge
from myna.store import blobs as module
from myna.store.blobs import BLOCK_BYTES, Blob, Blobs

MOST = 10 << 20


@pytest.fixture
async def blobs(tmp_path: Path) -> Blobs:
    blobs = Blobs(tmp_path)
    await blobs.prepare(set())
    return blobs


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(blobs: Blobs, blob: Blob, owner: str = "ann") -> bytes:
    return b"".join([block async for block in blobs.read(owner, blob.id)])


def kept(blobs: Blobs) -> list[Path]:
    """Everything below the directory for files that is no directory."""
    return [path for path in blobs.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "parts",
    [(), (b"",), (b"one", b"", b"two"), (b"x" * BLOCK_BYTES, b"y"), tuple(bytes([n % 251]) * 999 for n in range(999))],
    ids=["none", "empty", "small", "a block and more", "many"],
)
async def test_what_comes_is_kept(blobs: Blobs, parts: tuple[bytes, ...]) -> None:
    whole = b"".join(parts)
    blob = await blobs.create("ann", chunks(*parts), MOST)
    assert (blob.bytes, blob.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert await content(blobs, blob) == whole
    assert kept(blobs) == [blobs.path("ann", blob.id)]


async def test_nobody_else_on_the_machine_may_read_it(blobs: Blobs) -> None:
    path = blobs.path("ann", (await blobs.create("ann", chunks(b"secret"), MOST)).id)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(parent.stat().st_mode) == 0o700 for parent in (path.parent, blobs.root, blobs.drafts))


async def test_one_that_is_too_large_is_not_kept(blobs: Blobs) -> None:
    assert (await blobs.create("ann", chunks(b"12345"), 5)).bytes == 5
    before = kept(blobs)
    with pytest.raises(TooLarge, match="the 5 bytes"):
        await blobs.create("ann", chunks(b"123", b"456"), 5)
    assert kept(blobs) == before


async def test_one_whose_sender_fails_is_not_kept(blobs: Blobs) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"x" * (2 * BLOCK_BYTES)
        raise ConnectionAbortedError("gone")

    with pytest.raises(StoreError, match="gone"):
        await blobs.create("ann", breaking(), MOST)
    assert kept(blobs) == []


@pytest.mark.parametrize("point", ["while it comes", "while it is synced"])
async def test_one_that_is_cancelled_is_not_kept(blobs: Blobs, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    loop, reached = asyncio.get_running_loop(), asyncio.Event()
    if point == "while it is synced":
        sync = module.os.fsync

        def fsync(descriptor: int) -> None:
            loop.call_soon_threadsafe(reached.set)
            sync(descriptor)

        monkeypatch.setattr(module.os, "fsync", fsync)

    async def coming() -> AsyncIterator[bytes]:
        yield b"x" * (2 * BLOCK_BYTES)
        if point == "while it comes":
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(blobs.create("ann", coming(), MOST))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept(blobs) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_said_and_nothing_stays(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", fsync)
    with pytest.raises(StorageFull, match="no room"):
        await blobs.create("ann", chunks(b"x" * (2 * BLOCK_BYTES)), MOST)
    assert kept(blobs) == []


async def test_a_start_removes_what_a_killed_process_left(blobs: Blobs, tmp_path: Path) -> None:
    wanted = await blobs.create("ann", chunks(b"wanted"), MOST)
    unwanted = await blobs.create("ann", chunks(b"its row was never written"), MOST)
    bens = await blobs.create("ben", chunks(b"ben's"), MOST)
    (blobs.drafts / ("0" * 32)).write_bytes(b"half of")
    foreign = blobs.root / "notes.txt"
    foreign.write_text("put here by a person")
    again = Blobs(tmp_path)
    # An id that another owner has does not keep a blob.
    assert await again.prepare({("ann", wanted.id), ("ben", bens.id), ("ben", unwanted.id)}) == 1
    aside = again.unclaimed / "ann" / unwanted.id
    assert sorted(kept(again)) == sorted([again.path("ann", wanted.id), again.path("ben", bens.id), foreign, aside])


async def test_what_no_row_wants_is_kept_for_a_while_and_put_back(blobs: Blobs) -> None:
    """Another database may want it: a backup that was put back, and then the newer one again."""
    blob = await blobs.create("ann", chunks(b"precious"), MOST)
    path = blobs.path("ann", blob.id)
    assert await blobs.prepare(set()) == 1
    assert not path.exists()
    assert await blobs.prepare({("ann", blob.id)}) == 0
    assert await content(blobs, blob) == b"precious"
    os.utime(path, (0, 0))
    assert await blobs.prepare(set()) == 1  # its time begins now, however old it is
    aside = blobs.unclaimed / "ann" / blob.id
    assert await blobs.prepare(set()) == 0
    assert kept(blobs) == [aside]
    os.utime(aside, (0, 0))
    assert await blobs.prepare(set()) == 0
    assert kept(blobs) == []


async def test_deleting_twice_is_no_error_and_reading_then_is(blobs: Blobs) -> None:
    blob = await blobs.create("ann", chunks(b"x"), MOST)
    for _ in range(2):
        await blobs.delete("ann", blob.id)
    with pytest.raises(NotFound, match="gone from the disk"):
        await content(blobs, blob)


@pytest.mark.parametrize(
    "place",
    [
        lambda blobs: blobs.path("..", "0" * 32),
        lambda blobs: blobs.path(".drafts", "0" * 32),
        lambda blobs: blobs.path("ann", "../../../etc/passwd"),
        lambda blobs: blobs.path("ann/../ben", "0" * 32),
    ],
)
async def test_a_path_is_never_made_of_anything_else(blobs: Blobs, place: Callable[[Blobs], Path]) -> None:
    with pytest.raises(AssertionError):
        place(blobs)


async def test_a_directory_that_cannot_be_used_is_named_as_the_reason(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be kept"):
        await Blobs(tmp_path).prepare(set())
