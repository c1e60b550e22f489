from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from myna.formats import GGUFFile
from myna.formats.floats import as_bytes
from myna.formats.gguf_writer import Value, write_gguf
from myna.formats.written import Written

METADATA: dict[str, Value] = {
    "general.architecture": "test", "yes": True, "few": 7, "minus": -7, "many": 2**40, "half": 0.5, "empty": [],
    "raw": b"\0\xff", "words": ["a", "", "ñ"], "numbers": [-1, 2], "reals": [0.25, 4.0], "flags": [True, False],
    "below": -(2**40), "huge": 1e300, "wide": [2**40, -1], "widest": [2**64 - 1], "endless": [1e300, 0.5],
}  # fmt: skip
Array = NDArray[Any]
KINDS = {"<f4": "F32", "<f2": "F16"}
ARRAYS: dict[str, Array] = {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.arange(5, dtype="<f2")}


def written(name: str, value: Array) -> Written:
    return Written(name, KINDS[value.dtype.str], value.shape, lambda: nullcontext(as_bytes(value)))


def write(path: Path) -> list[int]:
    told: list[int] = []
    with path.open("wb") as file:
        write_gguf(file, METADATA, [written(name, value) for name, value in ARRAYS.items()], told.append)
    return told


def test_the_gguf_package_reads_what_is_written(tmp_path: Path) -> None:
    assert write(tmp_path / "model.gguf") == [24, 34]
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    for key, value in METADATA.items():
        found = reader.fields[key].contents()
        assert found == (list(value) if isinstance(value, bytes) else value), key
    for tensor in reader.tensors:
        np.testing.assert_array_equal(tensor.data, ARRAYS[tensor.name])


def test_it_reads_itself(tmp_path: Path) -> None:
    write(tmp_path / "model.gguf")
    with closing(GGUFFile(tmp_path / "model.gguf")) as file:
        assert file.metadata.integer("many", maximum=2**50) == 2**40
        assert file.metadata.strings("words") == ["a", "", "ñ"]
        assert {name: tensor.shape for name, tensor in file.tensors.items()} == {"a": (2, 3), "b": (5,)}


def test_a_tensor_of_another_size_than_told_is_an_error(tmp_path: Path) -> None:
    wrong = Written("a", "F32", (3,), lambda: nullcontext(memoryview(b"1234")))
    with (tmp_path / "model.gguf").open("wb") as file, pytest.raises(ValueError, match="gave 4 bytes, not 12"):
        write_gguf(file, {}, [wrong])
