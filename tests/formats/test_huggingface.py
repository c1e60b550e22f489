from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from myna.errors import ModelFileError
from myna.formats import open_model
from tests.formats.checkpoints import TINY_CONFIG, index, safetensors, write_directory

A, B = ("U8", [2], b"aa"), ("U8", [1], b"b")
ONE = {"model.safetensors": safetensors(a=A, b=B)}
TWO = {
    "model.safetensors.index.json": index(a="one.safetensors", b="two.safetensors"),
    "one.safetensors": safetensors(a=A),
    "two.safetensors": safetensors(b=B),
}


def contents(path: Path) -> dict[str, bytes]:
    found = {}
    with closing(open_model(path)) as file:
        for name, tensor in file.tensors.items():
            with file.read(tensor) as data:
                found[name] = bytes(data)
    return found


def refused(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        open_model(path)
    return str(caught.value)


@pytest.mark.parametrize("files", [ONE, TWO, {"other.safetensors": ONE["model.safetensors"]}])
def test_weights_in_one_file_or_in_shards(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = write_directory(tmp_path / "model", files)
    assert contents(path) == {"a": b"aa", "b": b"b"}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "."])
def test_a_checkpoint_may_be_named_by_its_directory_or_what_is_in_it(tmp_path: Path, name: str) -> None:
    path = write_directory(tmp_path / "model", ONE)
    with closing(open_model(path / name)) as file:
        assert (file.kind, file.path) == ("huggingface", path)


def test_the_configuration_is_metadata_with_dots(tmp_path: Path) -> None:
    lists = {"mixed": [1, 0.5], "odd": [1, "a"], "nested": [[1]], "none": None, "empty": []}
    path = write_directory(tmp_path / "model", ONE, TINY_CONFIG | lists)
    with closing(open_model(path)) as file:
        metadata = file.metadata
        assert metadata.integer("hidden_size") == 4
        assert metadata.number("rope_scaling.factor", minimum=0, maximum=9) == 2.0
        assert metadata.strings("rope_scaling.kinds") == ["a", "b"]
        assert metadata.numbers("mixed") == [1.0, 0.5]
        assert metadata.integers("empty") == []
        assert not {"odd", "nested", "none"} & set(metadata)


@pytest.mark.parametrize(
    ("weight_map", "reason"),
    [
        ({"a": "../one.safetensors"}, "tensor 'a' is in '../one.safetensors', which is not a file beside it"),
        ({"a": "/etc/passwd"}, "which is not a file beside it"),
        ({"a": "..\\one.safetensors"}, "which is not a file beside it"),
        ({"a": ".."}, "which is not a file beside it"),
        ({"a": 7}, "which is not a file beside it"),
        ({}, "it has no weight_map"),
        ({"a": "three.safetensors"}, "three.safetensors cannot be used as a model: there is no such file"),
        ({"a": "two.safetensors"}, "it lacks tensor 'a', which model.safetensors.index.json says is there"),
        ({"a": "one.safetensors", "c": "one.safetensors"}, "it lacks tensor 'c'"),
    ],
)
def test_an_index_is_not_believed(tmp_path: Path, weight_map: dict[str, Any], reason: str) -> None:
    path = write_directory(tmp_path / "model", TWO | {"model.safetensors.index.json": index(**weight_map)})
    assert reason in refused(path)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    path = write_directory(tmp_path / "model", TWO | {"two.safetensors": safetensors(a=A, b=B)})
    assert "tensor 'a' is in two of its files" in refused(path)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "it has no config.json; it holds nothing"),
        ({"notes.txt": b""}, "it has no config.json; it holds notes.txt"),
        ({"config.json": b"{}"}, "it has none of model.safetensors"),
        ({"config.json": b"[1]"}, "it does not hold a JSON object"),
        ({"config.json": b"\xff"}, "it does not hold JSON"),
        ({"config.json": b"{}" + b" " * 2**22}, "it is longer than 4194304 bytes"),
        ({"config.json": b'{"a":' * 40 + b"1" + b"}" * 40}, "nested more than 16 deep"),
        ({"adapter_config.json": b'{"base_model_name_or_path": "some/model"}'}, "its model is 'some/model'"),
        ({"a.gguf": b"", "b.gguf": b""}, "it holds several GGUF files; name one: a.gguf, b.gguf"),
        ({"model.safetensors": ONE["model.safetensors"]}, "it has no config.json; it holds model.safetensors"),
    ],
)
def test_a_directory_that_is_no_model_says_what_it_holds(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert reason in refused(tmp_path)


def test_weights_without_configuration_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(ONE["model.safetensors"])
    assert "there is no config.json beside it" in refused(path)
