from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from myna.server.openai.batches.draft import ERROR, OUTPUT, Draft, Record, Usage

HALVES = [b"", b"7", b'7\to\t1 2 3 4\t{"a"', b'7\to\t1 2 3\t{"a": 1}\n', b"\0\0\0\n", b"7\to\n"]


def record(number: int, kind: bytes = OUTPUT, json: bytes = b'{"a": "b\\tc"}') -> Record:
    return Record(number, kind, Usage(3, 1, 2, 0), json)


async def contents(draft: Draft, kind: bytes) -> bytes:
    return b"".join([lines async for lines in draft.lines(kind)])


@pytest.mark.parametrize("torn", HALVES)
async def test_what_was_appended_is_there_after_a_crash_and_nothing_else(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "ada" / "batch"
    draft = await Draft.open(path)
    await draft.append(record(1), record(4, ERROR, b"{}"))
    await draft.append(record(2))
    await draft.close()
    with path.open("ab") as file:  # as a process leaves it that is killed while it writes
        file.write(torn)
    again = await Draft.open(path)
    assert [number for number in range(9) if again.has(number)] == [1, 2, 4]
    assert (again.completed, again.failed, again.usage) == (2, 1, Usage(9, 3, 6, 0))
    await again.append(record(7))
    assert await contents(again, OUTPUT) == b'{"a": "b\\tc"}\n' * 3
    assert await contents(again, ERROR) == b"{}\n"
    assert path.stat().st_mode & 0o077 == 0
    await again.remove()
    assert not path.exists()


async def test_records_that_come_together_are_synced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await Draft.open(tmp_path / "batch")
    synced: list[int] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    await asyncio.gather(*(draft.append(record(number)) for number in range(50)))
    assert draft.completed == 50
    assert len(synced) <= 2
    await draft.close()


async def test_a_record_is_not_counted_before_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await Draft.open(tmp_path / "batch")
    await draft.append(record(1))

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        await draft.append(record(2))
    monkeypatch.undo()
    assert not draft.has(2)
    await draft.append(record(3))
    await draft.close()
    again = await Draft.open(tmp_path / "batch")
    assert [number for number in range(9) if again.has(number)] == [1, 3]
    await again.close()


async def test_who_gives_up_waiting_leaves_the_record(tmp_path: Path) -> None:
    draft = await Draft.open(tmp_path / "batch")
    task = asyncio.create_task(draft.append(record(1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await draft.close()
    assert draft.has(1)
