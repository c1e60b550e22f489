from __future__ import annotations

import os
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myna.errors import ModelFileError
from myna.formats import GGUFFile, Tensor
from tests.formats.builder import (
    ARRAY,
    BOOL,
    F32,
    F32_TENSOR,
    I32,
    Q4_1_TENSOR,
    STRING,
    U8,
    U32,
    U64,
    File,
    array,
    key,
    tensor,
    text,
    u32,
    u64,
)
from tests.synthetic import write_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def opened(path: Path, content: bytes) -> GGUFFile:
    path.write_bytes(content)
    return GGUFFile(path)


def test_reads_every_metadata_type(path: Path) -> None:
    keys = [
        key("text", STRING, text("Grüße")),
        key("yes", BOOL, b"\1"),
        key("byte", U8, b"\xff"),
        key("minus", I32, struct.pack("<i", -5)),
        key("half", F32, struct.pack("<f", 0.5)),
        key("large", U64, u64(2**40)),
        key("numbers", ARRAY, array(I32, [struct.pack("<i", n) for n in (-1, 0, 1)])),
        key("reals", ARRAY, array(F32, [struct.pack("<f", n) for n in (0.25, 4.0)])),
        key("words", ARRAY, array(STRING, [text("a"), text(""), text("ñandú")])),
    ]
    with opened(path, File(keys).build()) as file:
        metadata = file.metadata
        assert metadata.string("text") == "Grüße"
        assert metadata.boolean("yes") is True
        assert metadata.integer("byte") == 255
        assert metadata.integer("minus", minimum=-10) == -5
        assert metadata.number("half", minimum=0, maximum=1) == 0.5
        assert metadata.integer("large", maximum=2**50) == 2**40
        assert metadata.integers("numbers") == [-1, 0, 1]
        assert metadata.numbers("reals") == [0.25, 4.0]
        assert metadata.strings("words") == ["a", "", "ñandú"]
        assert metadata.integer("absent", 7) == 7


def test_version_2_is_read_too(path: Path) -> None:
    with opened(path, File([key("a", U32, u32(1))], version=2).build()) as file:
        assert file.version == 2
        assert file.metadata.integer("a") == 1


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda metadata: metadata.integer("absent"), "its metadata lacks absent"),
        (lambda metadata: metadata.integer("text"), "text is 'word', expected a whole number"),
        (lambda metadata: metadata.integer("yes"), "yes is True, expected a whole number"),
        (lambda metadata: metadata.integer("large"), "large is 1099511627776, expected 0 to 2147483647"),
        (lambda metadata: metadata.string("large"), "large is 1099511627776, expected text"),
        (lambda metadata: metadata.number("nan", minimum=0, maximum=1), "nan is nan, expected 0 to 1"),
        (lambda metadata: metadata.strings("large"), "large is 1099511627776, expected a list"),
        (lambda metadata: metadata.strings("numbers"), "numbers is a list, expected a list of text"),
        (lambda metadata: metadata.integers("words"), "words is a list, expected a list of whole numbers"),
        (lambda metadata: metadata.boolean("text"), "text is 'word', expected true or false"),
        (lambda metadata: metadata.string("text", maximum=3), "text has 4 characters, more than 3"),
    ],
)
def test_metadata_of_another_type_is_refused_by_name(path: Path, read, reason: str) -> None:  # type: ignore[no-untyped-def]
    keys = [
        key("text", STRING, text("word")),
        key("yes", BOOL, b"\1"),
        key("large", U64, u64(2**40)),
        key("nan", F32, struct.pack("<f", float("nan"))),
        key("numbers", ARRAY, array(I32, [b"\0\0\0\0"])),
        key("words", ARRAY, array(STRING, [text("a")])),
    ]
    with opened(path, File(keys).build()) as file, pytest.raises(ModelFileError) as caught:
        read(file.metadata)
    assert caught.value.reason == reason
    assert caught.value.path == str(path)


def test_tensors_are_lent_as_bytes_in_row_major_shape(path: Path) -> None:
    values = struct.pack("<8f", *range(8))
    tensors = [tensor("matrix", (4, 2), F32_TENSOR, 0), tensor("vector", (2,), F32_TENSOR, 32)]
    with opened(path, File(tensors=tensors, data=values + struct.pack("<2f", 8, 9)).build()) as file:
        matrix = file.tensors["matrix"]
        assert (matrix.shape, matrix.type, matrix.bytes, matrix.elements) == ((2, 4), "F32", 32, 8)
        with file.read(matrix) as data:
            assert bytes(data) == values
        with file.read(file.tensors["vector"]) as data:
            assert struct.unpack("<2f", data) == (8, 9)


def test_a_tensor_can_be_read_again_after_its_pages_were_given_back(path: Path) -> None:
    write_model(path)
    with GGUFFile(path) as file:
        embedding = file.tensors["token_embd.weight"]
        with file.read(embedding) as data:
            first = bytes(data)
        with file.read(embedding) as data:
            assert bytes(data) == first


def test_agrees_with_the_reference_reader(path: Path) -> None:
    write_model(path, quant="Q4_1", layers=1)
    reference = gguf.GGUFReader(path)
    with GGUFFile(path) as file:
        assert set(file.tensors) == {item.name for item in reference.tensors}
        for item in reference.tensors:
            mine = file.tensors[item.name]
            assert mine.shape == tuple(int(size) for size in reversed(item.shape))
            assert mine.type == item.tensor_type.name
            with file.read(mine) as data:
                assert np.array_equal(np.frombuffer(data, np.uint8), item.data.view(np.uint8).reshape(-1))
        names = [name for name in reference.fields if not name.startswith("GGUF.")]
        assert list(file.metadata) == names
        assert file.metadata.strings("tokenizer.ggml.tokens") == reference.fields["tokenizer.ggml.tokens"].contents()
    del reference


def hostile() -> dict[str, tuple[bytes, str]]:
    """Name -> (file, what its error says)."""
    one = tensor("w", (32, 2), Q4_1_TENSOR, 0)
    block = b"\0" * 40
    many = [key(f"k{n}", U8, b"\0") for n in range(3)]
    return {
        "empty": (b"", "it is empty"),
        "other magic": (File(magic=b"PK\3\4").build(), "it does not begin with GGUF"),
        "only magic": (b"GGUF", "it is truncated: the version needs 4 bytes"),
        "version 1": (File(version=1).build(), "GGUF version 1"),
        "version 99": (File(version=99).build(), "GGUF version 99"),
        "big-endian": (File(version=3 << 24).build(), "big-endian GGUF"),
        "huge key count": (File(key_count=2**63).build(), "the number of metadata keys is 9223372036854775808"),
        "huge tensor count": (File(tensor_count=2**64 - 1).build(), "the number of tensors is 18446744073709551615"),
        "more keys than there are": (
            File(many, key_count=60_000, alignment=1).build(),
            "it is truncated: the length of metadata key 3",
        ),
        "more tensors than there are": (File(tensors=[one], tensor_count=9, alignment=1).build(), "it is truncated"),
        "long key": (File([u64(2**40) + b"x"]).build(), "the length of metadata key 0 is 1099511627776"),
        "key past the end": (File([u64(60_000) + b"x"]).build(), "it is truncated: metadata key 0"),
        "key not UTF-8": (File([key(b"\xff\xfe", U8, b"\0")]).build(), "metadata key 0 is not UTF-8"),
        "endless name in an error": (File([key("k" * 60_000, 13, b"")]).build(), "kkk…"),
        "duplicate key": (File([many[0], many[0]]).build(), "metadata key 'k0' appears twice"),
        "unknown value type": (File([key("k", 13, b"")]).build(), "k has the unknown metadata type 13"),
        "huge string": (File([key("k", STRING, u64(2**62))]).build(), "the length of k is 4611686018427387904"),
        "huge array": (File([key("k", ARRAY, array(U8, [], 2**61))]).build(), "the length of k is 2305843009213693952"),
        "array past the end": (File([key("k", ARRAY, array(U64, [], 2**20))]).build(), "it is truncated: k needs"),
        "strings past the end": (
            File([key("k", ARRAY, array(STRING, [text("a")], 2**20))]).build(),
            "the 1048576 strings of k do not end",
        ),
        "string in array past the end": (
            File([key("k", ARRAY, array(STRING, [u64(2**63), text("a")]))]).build(),
            "the 2 strings of k do not end",
        ),
        "nested array": (File([key("k", ARRAY, array(ARRAY, [array(U8, [b"\0"])]))]).build(), "k is a list of lists"),
        "unknown element type": (File([key("k", ARRAY, array(77, []))]).build(), "k has the unknown element type 77"),
        "alignment 0": (File([key("general.alignment", U32, u32(0))]).build(), "general.alignment is 0"),
        "alignment 24": (File([key("general.alignment", U32, u32(24))]).build(), "expected a power of two"),
        "alignment huge": (
            File([key("general.alignment", U32, u32(2**31))]).build(),
            "general.alignment is 2147483648",
        ),
        "alignment text": (File([key("general.alignment", STRING, text("32"))]).build(), "expected a whole number"),
        "long tensor name": (File(tensors=[tensor("w" * 300, (1,), 0, 0)]).build(), "the name of tensor 0 is 300"),
        "duplicate tensor": (File(tensors=[one, one], data=block).build(), "tensor 'w' appears twice"),
        "no dimensions": (File(tensors=[tensor("w", (), 0, 0)]).build(), "tensor 'w' has no dimensions"),
        "five dimensions": (File(tensors=[tensor("w", (1,) * 5, 0, 0)]).build(), "more than 4"),
        "dimension 0": (File(tensors=[tensor("w", (32, 0), 0, 0)]).build(), "impossible shape [0, 32]"),
        "product overflows": (
            File(tensors=[tensor("w", (2**32, 2**32, 2**32), 0, 0)]).build(),
            "impossible shape [4294967296, 4294967296, 4294967296]",
        ),
        "product wraps to a small one": (
            File(tensors=[tensor("w", (2**63, 2, 1, 32), 0, 0)], data=block).build(),
            "impossible shape",
        ),
        "unknown quantisation": (
            File(tensors=[tensor("w", (32,), 99, 0)]).build(),
            "tensor 'w' has the unknown quantisation type 99",
        ),
        "removed quantisation": (File(tensors=[tensor("w", (32,), 4, 0)]).build(), "unknown quantisation type 4"),
        "broken block": (File(tensors=[tensor("w", (33,), Q4_1_TENSOR, 0)]).build(), "blocks of 32 do not divide"),
        "offset not aligned": (File(tensors=[tensor("w", (1,), 0, 4)], data=block).build(), "not aligned to 32"),
        "offset past the end": (
            File(tensors=[tensor("w", (1,), 0, 2**63)], data=block).build(),
            "it is truncated: tensor 'w' ends at byte",
        ),
        "tensor past the end": (File(tensors=[one], data=block[:-1]).build(), "it is truncated: tensor 'w' ends at"),
        "overlapping tensors": (
            File(tensors=[one, tensor("v", (32, 2), Q4_1_TENSOR, 32)], data=b"\0" * 128).build(),
            "tensors 'w' and 'v' overlap",
        ),
        "same place": (
            File(tensors=[one, tensor("v", (32, 2), Q4_1_TENSOR, 0)], data=block).build(),
            "tensors 'w' and 'v' overlap",
        ),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_end_in_one_clear_error_without_memory(path: Path, name: str) -> None:
    content, expected = hostile()[name]
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            GGUFFile(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert expected in caught.value.reason
    assert str(path) in caught.value.message
    assert peak < 2**20


def test_a_sparse_giant_with_a_giant_count_takes_bounded_memory(path: Path) -> None:
    # 1 TiB of zeros that take no disk: each length and count "fits into the file".
    content = File([key("k", ARRAY, array(STRING, [], 2**20))]).build()
    path.write_bytes(content)
    os.truncate(path, 2**40)
    tracemalloc.start()
    try:
        with GGUFFile(path) as file:  # a million empty strings: odd, but neither slow nor large until decoded
            assert file.metadata.array("k").count == 2**20
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_a_header_without_end_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myna.formats.gguf.MAX_METADATA_BYTES", 100)
    with pytest.raises(ModelFileError, match="its header is longer than 100 bytes"):
        opened(path, File([key(f"k{n}", U8, b"\0") for n in range(9)]).build())


def test_a_truncated_real_file_says_so_wherever_it_is_cut(path: Path) -> None:
    content = write_model(path, layers=1).read_bytes()
    for length in range(0, len(content), len(content) // 97):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"truncated|empty|does not begin"):
            GGUFFile(path)


def test_strings_that_are_not_utf8_are_named_when_read(path: Path) -> None:
    content = File([key("k", ARRAY, array(STRING, [text("a"), text(b"\xff")]))]).build()
    with opened(path, content) as file, pytest.raises(ModelFileError, match=r"k\[1\] is not UTF-8"):
        file.metadata.strings("k")


@pytest.mark.parametrize(("target", "reason"), [("missing", "there is no such file"), (".", "it is a directory")])
def test_what_is_no_file_is_refused(tmp_path: Path, target: str, reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        GGUFFile(tmp_path / target)


@settings(max_examples=300)
@given(data=st.data())
def test_any_bytes_give_a_file_or_a_model_file_error(path: Path, data: st.DataObject) -> None:
    """Random damage to a valid file; whatever is accepted can be read to the last tensor."""
    valid = File(
        [
            key("general.alignment", U32, u32(32)),
            key("words", ARRAY, array(STRING, [text("a"), text("bc")])),
            key("numbers", ARRAY, array(I32, [b"\1\0\0\0"] * 3)),
        ],
        [tensor("w", (32, 2), Q4_1_TENSOR, 0), tensor("v", (4,), F32_TENSOR, 64)],
        b"\7" * 80,
    ).build()
    content = bytearray(valid)
    for _ in range(data.draw(st.integers(0, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        patch = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.integers(0, 2**64 - 1).map(u64)))
        content[position : position + len(patch)] = patch
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        file = GGUFFile(path)
    except ModelFileError:
        return
    with file:
        size = path.stat().st_size
        for item in file.tensors.values():
            assert isinstance(item, Tensor)
            assert 0 <= item.offset <= item.offset + item.bytes <= size
            with file.read(item) as view:
                assert len(view) == item.bytes
        for name in file.metadata:
            value = file.metadata[name]
            if not isinstance(value, bool | int | float | str):
                with suppress(ModelFileError):  # strings that are not UTF-8
                    assert len(value.values()) == value.count
