"""What expires, and what of it is to be removed from the disk."""

from __future__ import annotations

from myna.store import files, uploads
from myna.store.database import Database
from myna.store.files import StoredFile
from myna.store.uploads import REMEMBERED, Part, Status, Upload

NOW = 1_700_000_000_000


def file(number: int, expires_at: int | None = None) -> StoredFile:
    return StoredFile(f"file-{number}", "name", "user_data", 5, "0" * 64, f"{number:032}", 1, expires_at)


def upload(number: int, expires_at: int, status: Status = "pending") -> Upload:
    return Upload(f"upload_{number}", "name", "user_data", 5, status, 1, expires_at, None)


def part(number: int, of: int) -> Part:
    return Part(f"upload_{of}", f"part_{number}", 7, f"{number:032}", 1)


async def test_files_expire_to_the_millisecond(database: Database) -> None:
    for owner in ("ann", "ben"):
        async with database.write(owner) as scope:
            for number, expires_at in enumerate((None, NOW, NOW + 1)):
                await files.add(scope, file(number, expires_at))
    async with database.transaction() as transaction:
        gone = await files.remove_expired(transaction, NOW)
        left = await files.blobs(transaction)
    assert sorted(gone) == [("ann", f"{1:032}"), ("ben", f"{1:032}")]
    assert left == {(owner, f"{number:032}") for owner in ("ann", "ben") for number in (0, 2)}


async def test_uploads_expire_with_their_parts_and_are_forgotten_a_day_later(database: Database) -> None:
    async with database.write("ann") as scope:
        for number, expires_at in ((1, NOW), (2, NOW + 1), (3, NOW)):
            await uploads.add(scope, upload(number, expires_at))
            await uploads.add_part(scope, part(10 + number, number))
        await files.add(scope, file(1))
        assert await files.stored_bytes(scope) == 5 + 3 * 7
        assert await uploads.finish(scope, "upload_3", "completed", part_ids=["part_13"], file={"id": "x"}) == [
            f"{13:032}"
        ]
    async with database.transaction() as transaction:
        assert await uploads.remove_expired(transaction, NOW) == [("ann", f"{11:032}")]
        assert await files.blobs(transaction) == {("ann", f"{12:032}"), ("ann", f"{1:032}")}
    async with database.read("ann") as scope:
        states = [(await uploads.get(scope, f"upload_{number}", NOW)).status for number in (1, 2, 3)]
        assert states == ["expired", "pending", "completed"]
        assert (await uploads.get(scope, "upload_3", NOW)).file == {"id": "x"}
        assert list(await uploads.parts(scope, "upload_2")) == ["part_12"]
    async with database.transaction() as transaction:
        assert await uploads.remove_expired(transaction, NOW + REMEMBERED) == [("ann", f"{12:032}")]
        rows = await transaction.connection.exec_driver_sql("SELECT id FROM uploads")
        assert [row[0] for row in rows] == ["upload_2"]
