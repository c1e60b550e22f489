from __future__ import annotations

import struct
from contextlib import closing
from pathlib import Path

import pytest

from myna.errors import ModelFileError
from myna.formats import open_model
from tests.formats.builder import F32_TENSOR, I32, STRING, File, key, tensor, text

PARTS = 3


def part(number: int, *, count: int = PARTS, tensors: int = PARTS, name: str | None = None) -> bytes:
    keys = [
        key("split.no", I32, struct.pack("<i", number)),
        key("split.count", I32, struct.pack("<i", count)),
        key("split.tensors.count", I32, struct.pack("<i", tensors)),
    ]
    if number == 0:
        keys.append(key("general.name", STRING, text("Whole")))
    return File(keys, [tensor(name or f"t{number}", (1,), F32_TENSOR, 0)], struct.pack("<f", number)).build()


def path_of(directory: Path, number: int) -> Path:
    return directory / f"model-{number + 1:05}-of-{PARTS:05}.gguf"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for number in range(PARTS):
        path_of(tmp_path, number).write_bytes(part(number))
    return tmp_path


@pytest.mark.parametrize("named", [0, 2, None])
def test_any_part_or_the_directory_stands_for_all(directory: Path, named: int | None) -> None:
    with closing(open_model(directory if named is None else path_of(directory, named))) as file:
        assert file.metadata.string("general.name") == "Whole"
        assert file.path == path_of(directory, 0)
        values = []
        for name in ("t0", "t1", "t2"):
            with file.read(file.tensors[name]) as data:
                values.append(struct.unpack("<f", data)[0])
        assert values == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (part(0), r"00002-of-00003\.gguf cannot be used as a model: it does not say that it is file 2 of 3"),
        (part(1, count=2), "it does not say that it is file 2 of 3"),
        (part(1, name="t0"), "tensor 't0' is in two of its files"),
        (File([], [tensor("t1", (1,), F32_TENSOR, 0)], b"1234").build(), "its metadata lacks split.no"),
        (b"", "it is empty"),
        (None, r"00002-of-00003\.gguf cannot be used as a model: there is no such file"),
    ],
)
def test_a_part_that_does_not_belong_is_named(directory: Path, wrong: bytes | None, reason: str) -> None:
    path_of(directory, 1).unlink()
    if wrong is not None:
        path_of(directory, 1).write_bytes(wrong)
    with pytest.raises(ModelFileError, match=reason):
        open_model(path_of(directory, 0))


def test_a_missing_tensor_is_missed(directory: Path) -> None:
    path_of(directory, 0).write_bytes(part(0, tensors=4))
    with pytest.raises(ModelFileError, match="it says that there are 4 tensors, its 3 files have 3"):
        open_model(path_of(directory, 0))


def test_a_part_under_another_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(part(0))
    with pytest.raises(ModelFileError, match=r"is not named name-00001-of-00002\.gguf"):
        open_model(path)
