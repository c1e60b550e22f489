from __future__ import annotations

import pickle
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from myna.errors import ModelFileError
from myna.formats import open_model
from tests.formats.checkpoints import index, write_directory


class Code:
    """What a hostile checkpoint does when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "ran"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_directory(tmp_path / "model", {})


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("shards", [1, 2])
def test_tensors_of_every_type_are_read(directory: Path, shards: int, legacy: bool) -> None:
    values = torch.linspace(-2, 2, 6).reshape(2, 3)
    types = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
    whole = {name: values.to(dtype) for name, dtype in types.items()} | {"turned": values.t()}
    names = ["pytorch_model.bin"] if shards == 1 else ["one.bin", "two.bin"]
    where = {name: names[number % shards] for number, name in enumerate(whole)}
    for name in names:
        part = {key: value for key, value in whole.items() if where[key] == name}
        torch.save(part, directory / name, _use_new_zipfile_serialization=not legacy)
    if shards == 2:
        (directory / "pytorch_model.bin.index.json").write_bytes(index(**where))
    with closing(open_model(directory)) as file:
        assert {name: file.tensors[name].type for name in types} == {name: name for name in types}
        for name, value in whole.items():
            assert file.tensors[name].shape == tuple(value.shape)
            with file.read(file.tensors[name]) as data:
                assert bytes(data) == bytes(value.contiguous().view(torch.uint8).numpy())


def test_a_pickle_with_code_is_refused_and_does_not_run(directory: Path, tmp_path: Path) -> None:
    torch.save({"a": Code(tmp_path / "trace")}, directory / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match="it holds more than tensors"):
        open_model(directory)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.ones(1)], "it does not hold tensors by name"),
        ({"a": 1}, "'a' is a int, expected a tensor of"),
        ({"a": torch.ones(1).to(torch.complex64)}, "'a' is a complex64, expected a tensor of"),
    ],
)
def test_what_is_no_tensor_is_refused(directory: Path, content: Any, reason: str) -> None:
    torch.save(content, directory / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match=reason):
        open_model(directory)


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\3\4cut", pickle.dumps({"a": 1})])
def test_a_damaged_file_is_refused(directory: Path, content: bytes) -> None:
    (directory / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"pytorch_model\.bin cannot be used as a model"):
        open_model(directory)


def test_without_pytorch_the_extra_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.ones(1)}, directory / "pytorch_model.bin")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelFileError, match=r'pip install "myna\[torch\]"'):
        open_model(directory)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(directory: Path) -> None:
    path = directory / "pytorch_model.bin"
    torch.save({"a": torch.ones(4)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content + bytes(2**20))
    with pytest.raises(ModelFileError, match="it is compressed"):
        open_model(directory)


@pytest.mark.parametrize("value", [torch.ones(1).expand(2**30, 2**30), torch.ones(5, device="meta")])
def test_tensors_that_claim_more_than_the_file_holds_are_refused(directory: Path, value: torch.Tensor) -> None:
    torch.save({"a": value}, directory / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match=r"'a' has the shape .* but the file does not hold that much"):
        open_model(directory)
