from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from myna.errors import InvalidParameter, NotFound, TooLarge
from myna.server import files as module
from myna.server.files import FileService, open_files
from myna.settings import Settings
from myna.store import files as rows
from myna.store.blobs import BLOCK_BYTES
from myna.store.database import opened
from myna.store.files import StoredFile
from myna.store.pages import PageRequest


@asynccontextmanager
async def serving(data_dir: Path, **settings: int) -> AsyncIterator[FileService]:
    async with opened(data_dir) as database, open_files(database, Settings(data_dir=data_dir, **settings)) as files:
        yield files


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FileService]:
    async with serving(tmp_path) as service:
        yield service


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def store(
    files: FileService,
    owner: str,
    filename: str,
    purpose: str,
    contents: AsyncIterator[bytes],
    keep_seconds: int | None = None,
) -> StoredFile:
    return await files.keep(owner, await files.write(owner, contents), filename, purpose, keep_seconds)


async def lines(files: FileService, owner: str, file_id: str) -> list[bytes]:
    return [line async for line in files.lines(owner, file_id)]


def on_disk(data_dir: Path) -> set[str]:
    return {path.name for path in (data_dir / "files").rglob("*") if path.is_file()}


async def test_a_file_is_its_owners_alone(files: FileService) -> None:
    file = await store(files, "ann", "mine.txt", "user_data", chunks(b"mi", b"ne"))
    assert file.id.startswith("file-")
    assert (await files.get("ann", file.id)) == file
    assert files.path("ann", file).read_bytes() == b"mine"
    for attempt in (files.get("ben", file.id), files.delete("ben", file.id), lines(files, "ben", file.id)):
        with pytest.raises(NotFound, match=file.id):
            await attempt
    assert (await files.listed("ben", PageRequest())).items == []
    assert (await files.listed("ann", PageRequest())).items == [file]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"one", [b"one"]),
        (b"one\n", [b"one"]),
        (b"one\n\ntwo", [b"one", b"", b"two"]),
        (b"x" * BLOCK_BYTES + b"\n" + b"y" * (2 * BLOCK_BYTES), [b"x" * BLOCK_BYTES, b"y" * (2 * BLOCK_BYTES)]),
    ],
)
async def test_lines_come_whole(files: FileService, content: bytes, expected: list[bytes]) -> None:
    file = await store(files, "ann", "in.jsonl", "batch", chunks(content))
    assert await lines(files, "ann", file.id) == expected


async def test_a_line_without_end_is_not_gathered(files: FileService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 1 << 20)
    file = await store(files, "ann", "in.jsonl", "batch", chunks(b"{}\n", b"x" * (3 << 20)))
    async with aclosing(files.lines("ann", file.id)) as read:
        assert await anext(read) == b"{}"
        with pytest.raises(InvalidParameter, match="longer than 1 MiB"):
            await anext(read)


async def test_a_file_is_gone_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time = [1_000]
    monkeypatch.setattr(module, "now", lambda: time[0])
    async with serving(tmp_path) as files:
        short = await store(files, "ann", "short", "user_data", chunks(b"short"), keep_seconds=1)
        long = await store(files, "ann", "long", "user_data", chunks(b"long"))
        time[0] = 1_999
        assert (await files.get("ann", short.id)).expires_at == 2_000
        time[0] = 2_000
        with pytest.raises(NotFound):
            await files.get("ann", short.id)
        assert (await files.listed("ann", PageRequest())).items == [long]
        await files.sweep()
        assert on_disk(tmp_path) == {long.blob}


async def test_a_restart_keeps_files_and_puts_blobs_without_one_aside(tmp_path: Path) -> None:
    async with serving(tmp_path) as files:
        file = await store(files, "ann", "kept", "user_data", chunks(b"kept"))
        blob = await files.write("ann", chunks(b"killed before the row was written"))
    assert on_disk(tmp_path) == {file.blob, blob.id}
    async with serving(tmp_path) as files:
        assert await lines(files, "ann", file.id) == [b"kept"]
        assert {path.name for path in (tmp_path / "files" / "ann").iterdir()} == {file.blob}


async def test_a_row_that_is_not_written_leaves_no_blob(
    files: FileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: object) -> None:
        raise NotFound("a fault")

    monkeypatch.setattr(rows, "add", fail)
    with pytest.raises(NotFound, match="a fault"):
        await store(files, "ann", "lost", "user_data", chunks(b"lost"))
    assert on_disk(tmp_path) == set()


async def test_a_file_that_was_committed_stays_though_its_sender_is_cancelled(
    files: FileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is carried to its end, so the blob must not be discarded."""
    await files.sweep()  # after the one that runs by itself
    commit = files.database._commit

    async def cancelled_meanwhile(*args: object) -> None:
        storing.cancel()
        await asyncio.sleep(0)
        await commit(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(files.database, "_commit", cancelled_meanwhile)
    storing = asyncio.create_task(store(files, "ann", "kept", "user_data", chunks(b"kept")))
    with pytest.raises(asyncio.CancelledError):
        await storing
    [file] = (await files.listed("ann", PageRequest())).items
    assert on_disk(tmp_path) == {file.blob}


async def test_all_files_of_a_user_have_a_limit_and_each_has(tmp_path: Path) -> None:
    async with serving(tmp_path, max_upload_bytes=8, max_stored_bytes=10) as files:
        with pytest.raises(TooLarge, match="larger than the 8 bytes"):
            await store(files, "ann", "large", "user_data", chunks(b"123456789"))
        first = await store(files, "ann", "first", "user_data", chunks(b"12345678"))
        with pytest.raises(TooLarge, match="10 bytes in all"):
            await store(files, "ann", "second", "user_data", chunks(b"123"))
        await store(files, "ben", "ben's", "user_data", chunks(b"123"))
        await files.delete("ann", first.id)
        await store(files, "ann", "second", "user_data", chunks(b"123"))
        # Two at once, each of which there is room for, but not for both.
        results = await asyncio.gather(
            *(store(files, "ann", name, "user_data", chunks(b"12345")) for name in "ab"), return_exceptions=True
        )
        assert sorted(isinstance(result, TooLarge) for result in results) == [False, True]
        assert len(on_disk(tmp_path)) == 3
