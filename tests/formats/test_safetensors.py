from __future__ import annotations

import json
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myna.errors import ModelFileError
from myna.formats.safetensors import MAX_HEADER_BYTES, SafetensorsFile
from tests.formats.checkpoints import entry, header, safetensors

WHOLE = safetensors(a=("F32", [2, 2], struct.pack("<4f", 1, 2, 3, 4)), b=("BF16", [3], b"123456"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        SafetensorsFile(path)
    return caught.value.reason


def test_tensors_are_lent_as_bytes(path: Path) -> None:
    path.write_bytes(WHOLE)
    with closing(SafetensorsFile(path)) as file:
        assert [(t.name, t.type, t.shape, t.bytes) for t in file.tensors.values()] == [
            ("a", "F32", (2, 2), 16),
            ("b", "BF16", (3,), 6),
        ]
        with file.read(file.tensors["b"]) as data:
            assert bytes(data) == b"123456"


def test_every_float_type_of_the_library_is_read(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    types = {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
        torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    }  # fmt: skip
    values = torch.linspace(-3, 3, 12).reshape(3, 4)
    save_file({name: values.to(dtype) for dtype, name in types.items()}, path, metadata={"format": "pt"})
    with closing(SafetensorsFile(path)) as file:
        assert {name: file.tensors[name].type for name in file.tensors} == {name: name for name in types.values()}
        with file.read(file.tensors["F64"]) as data:
            np.testing.assert_array_equal(np.frombuffer(data, "<f8").reshape(3, 4), values.double().numpy())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"1234", "it is too short for a safetensors file"),
        (header({}, 2**40), f"it is not a safetensors file, or its header is longer than {MAX_HEADER_BYTES} bytes"),
        (header({}, 1000), "it is truncated: its header ends at byte 1008, the file has 10"),
        (header(b"{"), "it does not hold JSON"),
        (header(b"[]"), "it does not hold a JSON object"),
        (header(b"[" * 100_000), "its JSON is nested too deeply"),
        (header(b'{"a": 1, "a": 2}'), "key 'a' appears twice"),
        (header(b"{" + b"".join(b'"%d":1,' % name for name in range(300_000)) + b'"b":1,"b":1}'), "'b' appears twice"),
        (header({"a": 7}), "tensor 'a' is not described by dtype, shape and data_offsets"),
        (header({"a": entry("F31", [1], 0, 4)}) + b"1234", "tensor 'a' has the unknown type 'F31'"),
        (header({"a": entry(["F32"], [1], 0, 4)}) + b"1234", "tensor 'a' has the unknown type"),
        (header({"a": entry("F32", [-1], 0, 4)}) + b"1234", "tensor 'a' has an impossible shape"),
        (header({"a": entry("F32", [True], 0, 4)}) + b"1234", "tensor 'a' has an impossible shape"),
        (header({"a": entry("F32", [1] * 9, 0, 4)}) + b"1234", "tensor 'a' has an impossible shape"),
        (header({"a": entry("F32", [2**62] * 2, 0, 4)}) + b"1234", "takes 8507059173023461586584365185794205286"),
        (header({"a": entry("F32", [1], 4, 0)}) + b"1234", "takes 4 bytes, not -4"),
        (header({"a": entry("F32", [2], 0, 8)}) + b"1234", "it is truncated: its tensors end at byte"),
        (WHOLE + b"!", "its tensors end at byte"),
        (header({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}) + b"123", "tensor 'b' begins at byte"),
        (header({"a": entry("U8", [1], 1, 2)}) + b"12", "tensor 'a' begins at byte"),
        (header({"x" * 2000: entry("U8", [1], 0, 1)}) + b"1", "has 2000 characters, more than 1024"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(path: Path, content: bytes, reason: str) -> None:
    assert reason in refused(path, content)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=4), lambda inner:
    st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a"]), inner),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=120)
@given(described=st.dictionaries(st.text(max_size=3), _json, max_size=4))
def test_a_made_up_header_is_read_or_refused(path: Path, described: dict[str, Any]) -> None:
    read_or_refuse(path, header(json.dumps(described).encode()) + bytes(16))


def read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        file = SafetensorsFile(path)
    except ModelFileError:
        return
    with closing(file):
        for tensor in file.tensors.values():
            with file.read(tensor) as data:
                assert len(data) == tensor.bytes
